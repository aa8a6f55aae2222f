// `plan OLD NEW`: which part of the keys moves when one configuration replaces another, split by split, as a matrix of old
// and new variants. With --max-moved the exit code says whether that is too much. Reads both files; changes nothing.

import { Command, CommanderError, InvalidArgumentError } from 'commander';
import type { RequestView } from '../bytes.ts';
import { isNginxFile } from '../config/load.ts';
import type { UpstreamUrl } from '../config/options/addresses.ts';
import type { Config } from '../config/options/document.ts';
import { formatInstant } from '../config/options/experiment.ts';
import { parseShare } from '../config/options/share.ts';
import type { SplitConfig } from '../config/options/split.ts';
import { formatPercent } from '../split/change.ts';
import { describeKey, keyTexts } from '../split/key-list.ts';
import { compileSplits } from '../split/own.ts';
import { type Plan, planChange, splitAt, withoutWhen } from '../split/plan.ts';
import type { Splitter } from '../split/splitter.ts';
import { describeWhen } from '../split/targeting.ts';
import { addTimeOption, commandClock, loadOrEnd } from './options.ts';
import { wholeNumber } from './simulate.ts';
import { table } from './table.ts';
import { PROGRESS_EVERY, type Terminal } from './terminal.ts';
import { randomTokens, requestWith } from './tokens.ts';

// Shares are truncated to whole hashes one by one: a move of 10 % may be a few hashes of 2^32 more.
const ROUNDING = 1e-6;

interface PlanFlags {
  readonly maxMoved?: number;
  readonly samples: number;
  readonly seed: number;
  readonly json?: boolean;
  readonly at?: number;
}

/** The command, ready to be added to the program. */
export function planCommand(terminal: Terminal): Command {
  const command = new Command('plan')
    .summary('compute which part of all keys moves when a configuration changes')
    .description(
      'Compares two configurations split by split: which part of all keys moves from which variant to which. Exact if both use ranges on the same key; otherwise estimated from random keys. Either file may be an nginx.conf. Of options with steps it takes what they are now, or at --at, and lists what each later step of NEW moves.',
    )
    .argument('<OLD>', 'YAML file or nginx.conf that runs now')
    .argument('<NEW>', 'YAML file or nginx.conf that will replace it')
    .option(
      '--max-moved <SHARE>',
      'exit with 1 if more than this moves in any split, now or at a later step of NEW, like 10%',
      ratio,
    )
    .option('--samples <N>', 'number of random keys, if there is no exact result', wholeNumber, 100_000)
    .option('--seed <N>', 'another seed gives other random keys', wholeNumber, 1)
    .option('--json', 'print the plan as JSON');
  return addTimeOption(command).action(async (oldFile: string, newFile: string, flags: PlanFlags) => {
    // A plan is about the two files as they are: flags and variables do not apply.
    const files: Terminal = { ...terminal, environment: {} };
    const before = await loadEither(oldFile, files);
    const after = await loadEither(newFile, files);
    const changes = changesOf(before, { ...after, config: renamedAs(after, before) }, flags, terminal);
    terminal.showProgress?.('');
    const text =
      flags.json === true
        ? JSON.stringify({ version: 1, splits: changes }, null, 2)
        : changes.flatMap(changeLines).join('\n');
    terminal.writeOut(`${text}\n`);
    const { maxMoved } = flags;
    if (maxMoved === undefined) return;
    const over = changes.flatMap((change) => movesOver(change, maxMoved));
    if (over.length === 0) return;
    terminal.writeErr(`more than ${formatPercent(maxMoved)} of all keys move: ${over.join(', ')}\n`);
    throw new CommanderError(1, 'request-splitter.movesTooMuch', '');
  });
}

interface Change {
  readonly split: string;
  /** Null for a split that only one side has. */
  readonly plan: Plan | null;
  readonly notes: readonly string[];
  /** What the later steps of the new side move. */
  readonly steps: readonly { readonly at: string; readonly moved: number; readonly flows: Plan['flows'] }[];
  /** Variants of both sides in the order of their lists. */
  readonly from: readonly string[];
  readonly to: readonly string[];
}

/** The change itself and each later step that moves more than this, as "checkout (45% at 2026-12-02T09:00Z)". */
function movesOver({ split, plan, steps }: Change, maxMoved: number): string[] {
  const moves = [{ moved: plan?.moved ?? 0, when: '' }];
  for (const { at, moved } of steps) moves.push({ moved, when: ` at ${at}` });
  return moves
    .filter(({ moved }) => moved > maxMoved + ROUNDING)
    .map(({ moved, when }) => `${split} (${formatPercent(moved)}${when})`);
}

interface Side {
  readonly config: Config;
  readonly isNginx: boolean;
  /** The configuration under the names of its own file. */
  readonly compiledFrom: Config;
}

async function loadEither(file: string, terminal: Terminal): Promise<Side> {
  const isNginx = await isNginxFile(file);
  const { config } = await loadOrEnd(isNginx ? { nginx: file } : { config: file }, terminal);
  return { config, isNginx, compiledFrom: config };
}

/**
 * The only split of an nginx.conf is named after its variable: against a YAML file with one split it is the same split,
 * whatever that one is called.
 */
function renamedAs(after: Side, before: Side): Config {
  const [old] = before.config.splits.keys();
  const [next] = after.config.splits.values();
  const isOneEach = before.config.splits.size === 1 && after.config.splits.size === 1;
  if (!isOneEach || before.isNginx === after.isNginx) return after.config;
  return { ...after.config, splits: new Map([[old!, next!]]) };
}

function changesOf(sideBefore: Side, sideAfter: Side, flags: PlanFlags, terminal: Terminal): Change[] {
  const { config: before } = sideBefore;
  const { config: after } = sideAfter;
  const names = new Set([...before.splits.keys(), ...after.splits.keys()]);
  const now = commandClock(flags)();
  return [...names].map((split) => {
    const [old, next] = [before, after].map(({ splits }) => {
      const side = splits.get(split);
      return side === undefined ? undefined : splitAt(side, now);
    });
    const [from, to] = [old, next].map((side) => side?.variants.map(({ name }) => name) ?? []) as [
      string[],
      string[],
    ];
    if (old === undefined || next === undefined) {
      return { split, plan: null, notes: [old === undefined ? 'is new' : 'is gone'], steps: [], from, to };
    }
    const texts = [...keyTexts(old.key), ...keyTexts(next.key)];
    const keys = function* () {
      let made = 0;
      for (const token of randomTokens(flags.samples, flags.seed)) {
        if (++made % PROGRESS_EVERY === 0) terminal.showProgress?.(`split ${split}: ${made} keys …`);
        yield requestWith(token, texts);
      }
    };
    const plan = planChange(old, next, keys, () => [
      splitterAt(sideBefore, split, now),
      splitterAt(sideAfter, split, now),
    ]);
    const steps = laterSteps(sideAfter, split, now, keys);
    return { split, plan, notes: notesOf([old, before], [next, after]), steps, from, to };
  });
}

/** What each step of a split after `now` moves. */
function laterSteps(
  side: Side,
  name: string,
  now: number,
  keys: () => Iterable<RequestView>,
): Change['steps'] {
  const split = side.config.splits.get(name)!;
  const { coverage, shareSteps = [] } = split;
  const steps = [...(typeof coverage === 'object' ? coverage.steps : []), ...shareSteps];
  const times = [...new Set(steps.map(({ at }) => at))].filter((at) => at > now).sort((a, b) => a - b);
  return times.map((at) => {
    const { moved, flows } = planChange(splitAt(split, at - 1), splitAt(split, at), keys, () => [
      splitterAt(side, name, at - 1),
      splitterAt(side, name, at),
    ]);
    return { at: formatInstant(at), moved, flows };
  });
}

/** The splitter of one side at a time, for requests that fulfil `when`. Compiled from the side's own names. */
function splitterAt({ config, compiledFrom }: Side, name: string, time: number): Splitter {
  const splits = new Map(
    Array.from(compiledFrom.splits, ([own, split]) => [own, withoutWhen(splitAt(split, time))]),
  );
  const { splitters } = compileSplits({ ...compiledFrom, splits }, { clock: () => time });
  return [...splitters.values()][[...config.splits.keys()].indexOf(name)]!;
}

/** Where an upstream leads: its URL, else its servers, whatever its name. */
function placeOf({ upstreams }: Config, name: string): string {
  const found = upstreams.get(name);
  if (found === undefined) return name;
  const { url, servers = [] } = found;
  return JSON.stringify((url === undefined ? servers.map((one) => one.url) : [url]).map(placeOfUrl));
}

function placeOfUrl({ tls, host, port, path }: UpstreamUrl) {
  return [tls, host, port, path];
}

/** What else changes. */
function notesOf([old, before]: [SplitConfig, Config], [next, after]: [SplitConfig, Config]): string[] {
  const notes: string[] = [];
  const [was, is] = [describeKey(old.key), describeKey(next.key)];
  if (was !== is) notes.push(`key: ${was} becomes ${is}; keys without one of them were left out`);
  if (old.method !== next.method) notes.push(`method: ${old.method} becomes ${next.method}`);
  if (old.layer !== next.layer)
    notes.push(
      `layer: ${old.layer ?? 'none'} becomes ${next.layer ?? 'none'}, so every key gets its share again`,
    );
  const [wasWhen, isWhen] = [old.when, next.when].map((when) =>
    when === undefined ? 'none' : describeWhen(when),
  );
  if (wasWhen !== isWhen)
    notes.push(`when: ${wasWhen} becomes ${isWhen}; the plan is of requests that fulfil both`);
  else if (next.when !== undefined) notes.push('the plan is of the requests that fulfil when');
  if (old.missingKey !== next.missingKey)
    notes.push(`missingKey: ${old.missingKey} becomes ${next.missingKey}`);
  const names = new Set(next.variants.map(({ name }) => name));
  const gone = old.variants.filter(({ name }) => !names.has(name));
  for (const { name, upstream } of next.variants) {
    const same = old.variants.find((variant) => variant.name === name)?.upstream;
    const leadsTo = placeOf(after, upstream);
    if (same === undefined) {
      const renamed = gone.find((variant) => placeOf(before, variant.upstream) === leadsTo);
      if (renamed !== undefined) {
        notes.push(
          `${name}: leads to the same upstream as ${renamed.name} did; renamed, its keys stay where they were`,
        );
      }
    } else if (same !== upstream && placeOf(before, same) !== leadsTo) {
      notes.push(`${name}: upstream ${same} becomes ${upstream}`);
    }
  }
  return notes;
}

function changeLines({ split, plan, notes, steps, from, to }: Change): string[] {
  if (plan === null) return [`split ${split} ${notes[0]}`];
  const how = plan.isExact ? 'exact' : 'by sample';
  const cell = (old: string, next: string): string => {
    const flow = plan.flows.find((one) => one.from === old && one.to === next);
    return flow === undefined ? '.' : formatPercent(flow.ratio);
  };
  const rows = from.map((old) => [old, ...to.map((next) => cell(old, next))]);
  const columns = to.map((_, index) => index + 1);
  return [
    `split ${split}: ${formatPercent(plan.moved)} of all keys move (${how})`,
    '',
    ...table([['from \\ to', ...to], ...rows], columns).map((row) => `  ${row}`),
    ...(notes.length > 0 ? ['', ...notes.map((note) => `  ${note}`)] : []),
    ...(steps.length > 0 ? ['', ...stepLines(steps)] : []),
  ];
}

function stepLines(steps: Change['steps']): string[] {
  const rows = steps.map(({ at, moved, flows }) => {
    const parts = flows
      .filter(({ from, to }) => from !== to)
      .map(({ from, to, ratio }) => `${from} to ${to} ${formatPercent(ratio, 2)}`);
    return [at, `${formatPercent(moved)} of all keys move`, parts.join(', ')];
  });
  return table(rows).map((row) => `  ${row}`);
}

function ratio(text: string): number {
  const share = parseShare(text);
  if (typeof share === 'number') return share / 10_000;
  throw new InvalidArgumentError('expected a percentage like 10%.');
}
