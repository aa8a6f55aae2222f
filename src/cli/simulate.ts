// `simulate`: gives many tokens to a split and compares what each variant got with its share. The tokens are random,
// given, or read from a log on standard input. Exit code 1 when the sample is too far off to be chance.

import { Command, CommanderError, InvalidArgumentError } from 'commander';
import type { CompiledKey } from '../key/compile.ts';
import { formatPercent } from '../split/change.ts';
import { compileKeys, describeKey } from '../split/key-list.ts';
import { compileSplits } from '../split/own.ts';
import { LibraryView } from '../split/request.ts';
import type { Splitter } from '../split/splitter.ts';
import { chiSquareTail, testSampleRatio } from '../trust/sample-ratio.ts';
import { type LoggedRequest, notHeld } from './log-lines.ts';
import {
  addConfigOptions,
  addTimeOption,
  type ConfigFlags,
  commandClock,
  loadOrEnd,
  SPLIT_SETTINGS,
  splitOrEnd,
} from './options.ts';
import { table } from './table.ts';
import { PROGRESS_EVERY, type Terminal } from './terminal.ts';
import { linesOf, randomTokens, readLine, requestWith } from './tokens.ts';

const BAR_WIDTH = 40;
// Unique keys are counted exactly up to here, by their hashes; later ones count as requests alone.
const UNIQUES_MAX = 4_000_000;
/** Of more requests with a key than this no variant may get all. */
const ONE_SIDED_MIN = 100;

interface SimulateFlags extends ConfigFlags {
  readonly count: number;
  readonly seed: number;
  readonly stdin?: boolean;
  readonly of?: string;
  readonly json?: boolean;
  readonly at?: number;
}

/** The command, ready to be added to the program. */
export function simulateCommand(terminal: Terminal): Command {
  const command = new Command('simulate')
    .summary('split random or given tokens or a log, and compare the result with the shares')
    .description(
      'Assigns tokens to the variants of a split and shows what each variant gets. The tokens are random, given, or read from standard input, where a line is a token, a request target, or a line of a common or combined log. Exit code 1 if the sample differs from the shares by more than chance, if one variant gets all of more than 100 requests, or if there is no request.',
    )
    .argument('[TOKEN...]', 'tokens (or targets like "/x?token=42") instead of random ones')
    .option('-n, --count <N>', 'number of random tokens', wholeNumber, 10_000)
    .option('--seed <N>', 'another seed gives other random tokens', wholeNumber, 1)
    .option('--stdin', 'read tokens or a log from standard input')
    .option('--of <SPLIT>', 'the split, if there are several')
    .option('--json', 'print the numbers as JSON');
  addTimeOption(command);
  return addConfigOptions(command, SPLIT_SETTINGS).action(async (tokens: string[], flags: SimulateFlags) => {
    if (tokens.length > 0 && flags.stdin === true)
      usage(command, 'TOKEN and --stdin name two sources; give one of them');
    const { config } = await loadOrEnd(flags, terminal);
    const [name, split] = splitOrEnd(config, flags.of, command);
    const { own, splitters } = compileSplits(config, { clock: commandClock(flags) });
    const keys = compileKeys(name, split.key, own.scope('request'));
    const sample = new TokenSample(splitters.get(name)!, keys, terminal);
    let source: string;
    if (flags.stdin === true) {
      source = 'standard input';
      for await (const line of linesOf(terminal.input ?? nothing())) {
        const absent = sample.line(line);
        if (absent !== null) {
          usage(
            command,
            `a log or request target does not contain ${absent}, which the key reads; give tokens, one in a line`,
          );
        }
      }
    } else if (tokens.length > 0) {
      source = `${tokens.length} given`;
      for (const token of tokens) sample.given(Buffer.from(token, 'utf8').toString('latin1'));
    } else {
      source = `${flags.count} random tokens (seed ${flags.seed})`;
      for (const token of randomTokens(flags.count, flags.seed)) sample.token(token);
    }
    terminal.showProgress?.('');
    const result = sample.result();
    const head = `split ${name}: ${describeKey(split.key)} by ${split.method}, ${source}`;
    terminal.writeOut(
      `${flags.json === true ? JSON.stringify({ version: 1, split: name, ...result }, null, 2) : [head, '', ...resultLines(result)].join('\n')}\n`,
    );
    if (result.isMismatch || result.isOneSided || result.requests === 0)
      throw new CommanderError(1, 'request-splitter.mismatch', '');
  });
}

interface Result {
  /** Requests that were decided. */
  readonly requests: number;
  /** Lines that are no request. */
  readonly unreadable: number;
  /** Lines whose key may be in a field that the log does not have. */
  readonly undetermined: number;
  readonly withoutKey: number;
  /** Requests that got the control because their key does not take part. */
  readonly notEnrolled: number;
  /** Requests that got the control because they do not fulfil `when`. */
  readonly notTargeted: number;
  readonly uniqueKeys: number;
  readonly variants: readonly {
    readonly name: string;
    readonly share: string;
    readonly shareRatio: number;
    readonly keys: number;
    readonly requests: number;
  }[];
  readonly chiSquare: number | null;
  readonly degrees: number;
  readonly pValue: number | null;
  readonly largestDeviationRatio: number | null;
  readonly isMismatch: boolean;
  /** One of several variants got every request with a key, and there were many. */
  readonly isOneSided: boolean;
}

class TokenSample {
  readonly #splitter: Splitter;
  readonly #keys: readonly CompiledKey[];
  readonly #texts: readonly string[];
  readonly #terminal: Terminal;
  readonly #seen = new Set<number>();
  readonly #requestsOf: number[];
  readonly #keyedOf: number[];
  readonly #keysOf: number[];
  #requests = 0;
  #withoutKey = 0;
  #notEnrolled = 0;
  #notTargeted = 0;
  #unreadable = 0;
  #undetermined = 0;

  constructor(splitter: Splitter, keys: readonly CompiledKey[], terminal: Terminal) {
    this.#splitter = splitter;
    this.#keys = keys;
    this.#texts = keys.map(({ text }) => text);
    this.#terminal = terminal;
    this.#requestsOf = splitter.variants.map(() => 0);
    this.#keyedOf = splitter.variants.map(() => 0);
    this.#keysOf = splitter.variants.map(() => 0);
  }

  token(token: string): void {
    this.#count(requestWith(token, this.#texts));
  }

  /** A token or target of the command line. */
  given(token: string): void {
    if (token.startsWith('/')) this.#count(new LibraryView({ url: token }));
    else this.token(token);
  }

  /** A line of standard input. Null, or the variable that decides and that the line cannot hold. */
  line(line: string): string | null {
    const read = readLine(line, this.#texts);
    if (read === 'empty') return null;
    if (read === 'unreadable') this.#unreadable++;
    else if (read instanceof LibraryView) this.#count(read);
    else return this.#logged(read);
    return null;
  }

  #logged(request: LoggedRequest): string | null {
    for (const [index, key] of this.#keys.entries()) {
      const [absent] = notHeld(key.text, request);
      if (absent !== undefined && index === 0) return absent;
      if (absent !== undefined) {
        this.#undetermined++;
        return null;
      }
      if (!key.isMissing(key.expand(request.view))) break;
    }
    this.#count(request.view);
    return null;
  }

  #count(request: Parameters<Splitter['decide']>[0]): void {
    const { variant, hash, reason } = this.#splitter.decide(request);
    this.#requests++;
    if (this.#requests % PROGRESS_EVERY === 0) this.#terminal.showProgress?.(`${this.#requests} requests …`);
    if (reason === 'missing_key') this.#withoutKey++;
    if (reason === 'not_enrolled') this.#notEnrolled++;
    if (reason === 'not_targeted') this.#notTargeted++;
    if (variant === null) return;
    this.#requestsOf[variant.index]!++;
    if (reason === 'share' || reason === 'override') this.#keyedOf[variant.index]!++;
    // The sample is of keys: a caller who comes twice counts once, one without a key or with an override does not count.
    if (reason !== 'share' || this.#seen.has(hash) || this.#seen.size >= UNIQUES_MAX) return;
    this.#seen.add(hash);
    this.#keysOf[variant.index]!++;
  }

  result(): Result {
    const variants = this.#splitter.variants.map(({ name, share, index }) => ({
      name,
      share: formatPercent(share),
      shareRatio: share,
      keys: this.#keysOf[index]!,
      requests: this.#requestsOf[index]!,
    }));
    const sharing = variants.filter(({ shareRatio }) => shareRatio > 0);
    const total = sharing.reduce((sum, { keys }) => sum + keys, 0);
    const verdict = testSampleRatio(
      sharing.map(({ shareRatio, keys }) => ({ share: shareRatio, keys, standardError: 0 })),
    );
    const chiSquare = sharing.reduce(
      (sum, { shareRatio, keys }) => sum + (keys - shareRatio * total) ** 2 / (shareRatio * total),
      0,
    );
    const degrees = sharing.length - 1;
    const keyed = this.#requests - this.#withoutKey - this.#notEnrolled - this.#notTargeted;
    return {
      requests: this.#requests,
      unreadable: this.#unreadable,
      undetermined: this.#undetermined,
      withoutKey: this.#withoutKey,
      notEnrolled: this.#notEnrolled,
      notTargeted: this.#notTargeted,
      uniqueKeys: this.#seen.size,
      variants,
      // Chi-square says something only where every cell can be expected to have a few keys.
      chiSquare: verdict.pValue === null ? null : chiSquare,
      degrees,
      pValue: verdict.pValue === null ? null : chiSquareTail(chiSquare, degrees),
      largestDeviationRatio: verdict.deviationRatio,
      isMismatch: verdict.isMismatch,
      isOneSided: variants.length > 1 && keyed > ONE_SIDED_MIN && this.#keyedOf.includes(keyed),
    };
  }
}

function resultLines(result: Result): string[] {
  if (result.requests === 0) return [...readingLines(result), 'no requests: there is nothing to compare'];
  const total = result.variants.reduce((sum, { keys }) => sum + keys, 0);
  const rows = result.variants.map(({ name, shareRatio, keys, requests }) => {
    const observed = total === 0 ? 0 : keys / total;
    return [
      name,
      formatPercent(shareRatio),
      String(keys),
      String(requests),
      formatPercent(observed, 2),
      deviation(observed, shareRatio, total),
      bar(observed),
    ];
  });
  const head = ['variant', 'share', 'keys', 'requests', 'observed', 'deviation', ''];
  const verdict =
    result.pValue === null || result.chiSquare === null
      ? 'too few keys for a test'
      : `chi-square ${result.chiSquare.toFixed(3)} with ${result.degrees} degree${result.degrees === 1 ? '' : 's'} of freedom, p = ${result.pValue.toPrecision(3)}: ${result.isMismatch ? 'NOT consistent with the shares' : 'consistent with the shares'}`;
  const largest = result.largestDeviationRatio;
  return [
    ...table([head, ...rows], [1, 2, 3, 4, 5]).map((row) => `  ${row}`),
    '',
    ...readingLines(result),
    ...(result.withoutKey > 0 ? [`${result.withoutKey} of ${result.requests} requests have no key`] : []),
    ...outsideLines(result),
    ...(result.isOneSided ? [oneSided(result)] : []),
    verdict,
    ...(largest === null ? [] : [`largest deviation ${formatPercent(largest, 2)} of a share`]),
  ];
}

function outsideLines({ requests, notEnrolled, notTargeted }: Result): string[] {
  const lines: string[] = [];
  if (notTargeted > 0) lines.push(`${notTargeted} of ${requests} requests are not targeted`);
  if (notEnrolled > 0) lines.push(`${notEnrolled} of ${requests} requests have a key that is not enrolled`);
  return lines;
}

function readingLines({ unreadable, undetermined }: Result): string[] {
  return [
    ...(unreadable > 0
      ? [`${linesLeftOut(unreadable)}, no request in ${unreadable === 1 ? 'it' : 'them'}`]
      : []),
    ...(undetermined > 0 ? [`${linesLeftOut(undetermined)}, because a log may lack the key`] : []),
  ];
}

function linesLeftOut(count: number): string {
  return count === 1 ? '1 line was skipped' : `${count} lines were skipped`;
}

function oneSided({ variants, uniqueKeys }: Result): string {
  const all = variants.find(({ requests }) => requests > 0)?.name;
  const why = uniqueKeys === 1 ? ', because all have the same key' : '';
  return `${all} gets every request with a key${why}: this is not a split`;
}

function deviation(observed: number, share: number, total: number): string {
  if (share === 0 || total === 0) return '';
  const ratio = observed / share - 1;
  return `${ratio < 0 ? '' : '+'}${formatPercent(ratio, 2)}`;
}

function bar(ratio: number): string {
  return '#'.repeat(Math.round(ratio * BAR_WIDTH)).padEnd(BAR_WIDTH, '.');
}

/** A commander argument parser: digits only. */
export function wholeNumber(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('expected a whole number below a billion.');
}

function usage(command: Command, sentence: string): never {
  return command.error(`error: ${sentence}`, { exitCode: 2 });
}

async function* nothing(): AsyncGenerator<Uint8Array> {
  // There is no input.
}
