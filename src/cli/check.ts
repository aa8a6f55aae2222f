// `check [FILE]`: reads a configuration as `serve` would and says what it does, variant by variant with the exact hash
// range, or everything that is wrong with it. Answers with the exit code: 0 good, 1 not good. With --dns it also tries
// once whether the upstreams can be reached.

import { Command, CommanderError } from 'commander';
import { formatAddress, formatListener } from '../admin/effective-config.ts';
import { formatFinding } from '../config/findings.ts';
import { loadConfig } from '../config/load.ts';
import type { Config } from '../config/options/document.ts';
import type { RouteConfig } from '../config/options/route.ts';
import { isByShare, type SplitConfig } from '../config/options/split.ts';
import { membersOf } from '../config/options/upstream.ts';
import { formatPercent } from '../split/change.ts';
import { describeKey } from '../split/key-list.ts';
import { compileSplits } from '../split/own.ts';
import { Ranges } from '../split/ranges.ts';
import { LibraryView } from '../split/request.ts';
import type { Splitter } from '../split/splitter.ts';
import { reach } from '../upstream/reach.ts';
import { checkedJson, type ReachedUpstream } from './check-json.ts';
import { experimentLines } from './experiment-lines.ts';
import { addConfigOptions, addTimeOption, type ConfigFlags, commandClock } from './options.ts';
import { printProblems } from './problems.ts';
import { table } from './table.ts';
import type { Terminal } from './terminal.ts';

interface CheckFlags extends ConfigFlags {
  readonly dns?: boolean;
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly strict?: boolean;
  readonly at?: number;
}

/** The command, ready to be added to the program. */
export function checkCommand(terminal: Terminal): Command {
  const command = new Command('check')
    .summary('check a configuration and print what it does')
    .description(
      'Reads a configuration as serve would and prints what it does: each split with its variants, their shares and exact hash ranges. Prints all problems at once, and warns about a valid configuration that probably does not do what was meant. Exit code 1 if there are problems.',
    )
    .argument('[FILE]', 'YAML file to check, instead of --config')
    .option('--dns', 'also look up every upstream and connect to each of its addresses, with TLS for https')
    .option('--strict', 'exit with 1 for warnings too')
    .option('--quiet', 'print only problems and warnings')
    .option('--json', 'print the result as JSON, including problems');
  addTimeOption(command);
  return addConfigOptions(command).action(async (file: string | undefined, flags: CheckFlags) => {
    if (file !== undefined && flags.config !== undefined) {
      return command.error('error: FILE and --config name two configurations; give one of them', {
        exitCode: 2,
      });
    }
    const given = file === undefined ? flags : { ...flags, config: file };
    const loaded = await loadConfig({ flags: given, environment: terminal.environment });
    const print = (lines: readonly string[]) => {
      if (lines.length > 0) terminal.writeOut(`${lines.join('\n')}\n`);
    };
    if (loaded.problems !== undefined) {
      if (flags.json === true)
        print([JSON.stringify(checkedJson(loaded, null, commandClock(flags)), null, 2)]);
      else printProblems(terminal, loaded.problems);
      throw new CommanderError(1, 'request-splitter.notGood', '');
    }
    const { config, findings, notes } = loaded;
    const warnings = findings.filter(({ level }) => level === 'warning');
    const reached = flags.dns === true ? await reachAll(config) : null;
    if (flags.json === true)
      print([JSON.stringify(checkedJson(loaded, reached, commandClock(flags)), null, 2)]);
    else if (flags.quiet === true) print(warnings.map(formatFinding));
    else {
      const remarks = [...findings.map(formatFinding), ...notes.map((note) => `note: ${note}`)];
      print([
        ...summary(config, loaded.file ?? 'environment', warnings.length, commandClock(flags)),
        ...remarks.flatMap((remark) => ['', remark]),
        ...(reached === null ? [] : ['', ...reachedLines(reached)]),
      ]);
    }
    const isReached = reached?.every(({ failure }) => failure === null) ?? true;
    if (!isReached) throw new CommanderError(1, 'request-splitter.notReached', '');
    if (flags.strict === true && warnings.length > 0) {
      throw new CommanderError(1, 'request-splitter.warnings', '');
    }
  });
}

/** One connect to every address of every upstream. */
async function reachAll(config: Config): Promise<ReachedUpstream[]> {
  const all = await Promise.all(
    [...config.upstreams].flatMap(([upstream, settings]) =>
      membersOf(settings)
        .filter(({ down }) => !down)
        .map(async ({ url }) =>
          (await reach(url, settings.tls, settings.connectTimeout)).map((reached) => ({
            upstream,
            ...reached,
          })),
        ),
    ),
  );
  return all.flat();
}

function reachedLines(reached: readonly ReachedUpstream[]): string[] {
  const rows = reached.map(({ upstream, address, tls, failure }) => [
    `upstream ${upstream}`,
    address,
    failure ?? (tls ? 'accepts connections, and its certificate is valid' : 'accepts connections'),
  ]);
  return table(rows).map((row) => `  ${row}`);
}

/** What a configuration does, line by line. `from` is the file, or "environment". */
function summary(config: Config, from: string, warnings: number, clock: () => number): string[] {
  const variants = [...config.splits.values()].reduce((sum, split) => sum + split.variants.length, 0);
  const counts = [
    `${countOf(variants, 'variant')} in ${countOf(config.splits.size, 'split')}`,
    countOf(config.upstreams.size, 'upstream'),
    ...(warnings > 0 ? [countOf(warnings, 'warning')] : []),
  ];
  const lines = [
    `${from}: good, ${counts.join(', ')}, configuration ${config.hash}`,
    '',
    `  listen  ${config.listen.map(formatListener).join(', ')}`,
    `  admin   ${config.admin === null ? 'off' : formatAddress(config.admin)}`,
  ];
  const { splitters } = compileSplits(config, { clock });
  for (const [name, split] of config.splits) lines.push('', ...splitLines(splitters.get(name)!, split));
  lines.push('', ...routeLines(config.routes));
  return lines;
}

function splitLines(splitter: Splitter, split: SplitConfig): string[] {
  const { name, config: now } = splitter;
  const ranges = split.method === 'ranges' ? new Ranges(now.variants).list : [];
  const rows = splitter.variants.map(({ name: variant, upstream, share }, index) => {
    const { share: written, weight } = now.variants[index]!;
    if (written === undefined && weight === undefined) return [variant, '', '', upstream];
    const owned = formatPercent(share);
    const range = ranges[index];
    const hashes =
      range === undefined
        ? ''
        : range.end > range.from
          ? `hashes ${range.from} to ${range.end - 1}`
          : 'no hashes';
    const asked = weight !== undefined ? `weight ${weight}` : written === null ? '*' : `${written! / 100}%`;
    return [variant, asked === owned ? owned : `${asked} = ${owned}`, hashes, upstream];
  });
  return [
    `  split ${name}: ${choiceOf(split)}${isByShare(split) ? `${describeKey(split.key)} by ${split.method}${withoutKey(splitter, split)}` : 'by value alone'}`,
    ...table(rows).map((row) => `    ${row}`),
    ...experimentLines(split, splitter).map((line) => `    ${line}`),
    ...overrideLines(split),
  ];
}

function overrideLines({ override }: SplitConfig): string[] {
  if (override === undefined) return [];
  const { header, cookie, query, variants, secret } = override;
  const places = [
    header === undefined ? [] : `header ${header}`,
    cookie === undefined ? [] : `cookie ${cookie}`,
    query === undefined ? [] : `query parameter ${query}`,
  ].flat();
  const who = secret === undefined ? 'anybody, because it has no secret' : 'anybody who has the secret';
  return [`    override: ${variants.join(', ')} by ${places.join(', ')}, for ${who}`];
}

/** What decides before the shares do. */
function choiceOf({ choose }: SplitConfig): string {
  return choose === undefined ? '' : `the variant whose value is ${choose}, `;
}

// An empty request shows whether the key can be missing, and which variant then gets the request.
function withoutKey(splitter: Splitter, split: SplitConfig): string {
  const { reason, variant } = splitter.decide(BARE_REQUEST);
  if (reason !== 'missing_key') return '';
  if (variant === null) return '; a request without a key is refused with 400';
  if (split.missingKey === 'random') return '; a request without a key goes to a random variant, by share';
  return `; a request without a key goes to ${variant.name}`;
}

const BARE_REQUEST = new LibraryView({ url: '/', remoteAddress: '127.0.0.1' });

function routeLines(routes: readonly RouteConfig[]): string[] {
  const rows = routes.map((route) => {
    const hosts = route.host ?? 'every host';
    const isAll =
      route.host === undefined && route.path === '/' && !route.exact && route.pattern === undefined;
    const path =
      route.pattern === undefined ? `${route.exact ? '= ' : ''}${route.path}` : `matching ${route.pattern}`;
    const asked = route.when === undefined ? '' : ' if its conditions hold';
    const requests = `${isAll ? 'every request' : `${hosts} ${path}`}${asked}`;
    const taken = route.listen === undefined ? requests : `${requests} on ${formatAddress(route.listen)}`;
    const end =
      route.respond !== undefined
        ? `-> answer ${route.respond.status}`
        : route.split === undefined
          ? `-> upstream ${route.upstream}`
          : `-> split ${route.split}`;
    const more = wayBackOf(route);
    return more === '' ? [taken, end] : [taken, end, more];
  });
  return table(rows).map((row) => `  ${row}`);
}

/** What a route changes on the way back. */
function wayBackOf({ setResponseHeaders = {}, errorAnswers = [] }: RouteConfig): string {
  const fields = Object.keys(setResponseHeaders);
  const statuses = [...new Set(errorAnswers.flatMap((answer) => answer.statuses))].sort((a, b) => a - b);
  return [
    fields.length === 0 ? [] : `sets ${fields.join(', ')}`,
    statuses.length === 0 ? [] : `has its own answers for ${statuses.join(', ')}`,
  ]
    .flat()
    .join('; ');
}

function countOf(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
