// `check [FILE]`: reads a configuration as `serve` would and says what it does, variant by variant with the exact hash
// range, or everything that is wrong with it. Answers with the exit code: 0 good, 1 not good. With --dns it also tries
// once whether the upstreams can be reached.

import { Command, CommanderError } from 'commander';
import { formatAddress } from '../admin/effective-config.ts';
import { type Config, membersOf, type RouteConfig, type SplitConfig } from '../config/schema.ts';
import { reach } from '../health/reach.ts';
import { describeKey } from '../split/key-list.ts';
import { Ranges } from '../split/ranges.ts';
import { LibraryView } from '../split/request.ts';
import { Splitter } from '../split/splitter.ts';
import { addConfigOptions, type ConfigFlags, loadOrEnd } from './options.ts';
import { percent, table } from './table.ts';
import type { Terminal } from './terminal.ts';

interface CheckFlags extends ConfigFlags {
  readonly dns?: boolean;
}

/** The command, ready to be added to the program. */
export function checkCommand(terminal: Terminal): Command {
  const command = new Command('check')
    .summary('say whether a configuration is good, and what it does')
    .description(
      'Reads a configuration as serve would, and says what it does: each split with its variants, their shares and exact hash ranges. A configuration that is not good gets all its problems at once and exit code 1.',
    )
    .argument('[FILE]', 'YAML file to check, in place of --config')
    .option('--dns', 'also look every upstream up and connect to each of its addresses');
  return addConfigOptions(command).action(async (file: string | undefined, flags: CheckFlags) => {
    if (file !== undefined && flags.config !== undefined) {
      return command.error('error: FILE and --config name two configurations; give one of them', {
        exitCode: 2,
      });
    }
    const loaded = await loadOrEnd(file === undefined ? flags : { ...flags, config: file }, terminal);
    const lines = summary(loaded.config, loaded.file ?? 'environment');
    for (const note of loaded.notes) lines.push('', `note: ${note}`);
    terminal.writeOut(`${lines.join('\n')}\n`);
    if (flags.dns !== true) return;
    const { rows, isAllReached } = await reachAll(loaded.config);
    terminal.writeOut(
      `\n${table(rows)
        .map((row) => `  ${row}\n`)
        .join('')}`,
    );
    if (!isAllReached) throw new CommanderError(1, 'request-splitter.notReached', '');
  });
}

/** One connect to every address of every upstream: a row each, and whether all accepted. */
async function reachAll(config: Config): Promise<{ rows: string[][]; isAllReached: boolean }> {
  const all = await Promise.all(
    [...config.upstreams].flatMap(([name, upstream]) =>
      membersOf(upstream)
        .filter(({ down }) => !down)
        .map(async ({ url }) =>
          (await reach(url, upstream.connectTimeout)).map((reached) => ({ name, ...reached })),
        ),
    ),
  );
  const reached = all.flat();
  return {
    rows: reached.map(({ name, address, failure }) => [
      `upstream ${name}`,
      address,
      failure ?? 'accepts connections',
    ]),
    isAllReached: reached.every(({ failure }) => failure === null),
  };
}

/** What a configuration does, line by line. `from` is the file, or "environment". */
function summary(config: Config, from: string): string[] {
  const variants = [...config.splits.values()].reduce((sum, split) => sum + split.variants.length, 0);
  const counts = [
    `${count(variants, 'variant')} in ${count(config.splits.size, 'split')}`,
    count(config.upstreams.size, 'upstream'),
  ];
  const lines = [
    `${from}: good, ${counts.join(', ')}, configuration ${config.hash}`,
    '',
    `  listen  ${config.listen.map(formatAddress).join(', ')}`,
    `  admin   ${config.admin === null ? 'off' : formatAddress(config.admin)}`,
  ];
  for (const [name, split] of config.splits) lines.push('', ...splitLines(name, split));
  lines.push('', ...routeLines(config.routes));
  return lines;
}

function splitLines(name: string, split: SplitConfig): string[] {
  const splitter = new Splitter(name, split);
  const ranges = split.method === 'ranges' ? new Ranges(split.variants).list : [];
  const rows = splitter.variants.map(({ name: variant, upstream, share }, index) => {
    const { share: written, weight } = split.variants[index]!;
    const owned = percent(share);
    const range = ranges[index];
    const hashes =
      range === undefined
        ? ''
        : range.to > range.from
          ? `hashes ${range.from} to ${range.to - 1}`
          : 'no hashes';
    const asked = weight !== undefined ? `weight ${weight}` : written === null ? '*' : `${written! / 100}%`;
    return [variant, asked === owned ? owned : `${asked} = ${owned}`, hashes, upstream];
  });
  return [
    `  split ${name}: ${describeKey(split.key)} by ${split.method}${withoutKey(splitter, split)}`,
    ...table(rows).map((row) => `    ${row}`),
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
  const who = secret === undefined ? 'anybody, as it has no secret' : 'whoever has the secret';
  return [`    override: ${variants.join(', ')} by ${places.join(', ')}, for ${who}`];
}

// A request that carries nothing at all tells whether the key can be missing, and who gets such a request then.
function withoutKey(splitter: Splitter, split: SplitConfig): string {
  const { reason, variant } = splitter.decide(BARE_REQUEST);
  if (reason !== 'missing_key') return '';
  if (variant === null) return '; a request without a key is refused with 400';
  if (split.missingKey === 'random') return '; a request without a key goes anywhere by share';
  return `; a request without a key goes to ${variant.name}`;
}

const BARE_REQUEST = new LibraryView({ url: '/', remoteAddress: '127.0.0.1' });

function routeLines(routes: readonly RouteConfig[]): string[] {
  const rows = routes.map((route) => {
    const hosts = route.host ?? 'every host';
    const isAll = route.host === undefined && route.path === '/' && !route.exact;
    const requests = isAll ? 'every request' : `${hosts} ${route.exact ? '= ' : ''}${route.path}`;
    const taken = route.listen === undefined ? requests : `${requests} on ${formatAddress(route.listen)}`;
    return [taken, route.split === undefined ? `-> upstream ${route.upstream}` : `-> split ${route.split}`];
  });
  return table(rows).map((row) => `  ${row}`);
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
