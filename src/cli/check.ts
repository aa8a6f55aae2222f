// `check [FILE]`: reads a configuration as `serve` would and says what it does, variant by variant with the exact hash
// range, or everything that is wrong with it. Answers with the exit code: 0 good, 1 not good. Opens no socket.

import { Command, CommanderError } from 'commander';
import { formatProblems } from '../config/problem.ts';
import type { Config, ListenAddress, RouteConfig, SplitConfig } from '../config/schema.ts';
import type { RequestView } from '../split/key.ts';
import { Ranges } from '../split/ranges.ts';
import { Splitter } from '../split/splitter.ts';
import { addConfigOptions, type ConfigFlags, loadFromFlags } from './options.ts';

/** The command, ready to be added to the program. */
export function checkCommand(): Command {
  const command = new Command('check')
    .summary('say whether a configuration is good, and what it does')
    .description(
      'Reads a configuration as serve would, and says what it does: each split with its variants, their shares and\n' +
        'exact hash ranges. A configuration that is not good gets all its problems at once and exit code 1.',
    )
    .argument('[FILE]', 'YAML file to check, in place of --config');
  return addConfigOptions(command).action(async (file: string | undefined, flags: ConfigFlags) => {
    if (file !== undefined && flags.config !== undefined) {
      command.error('error: FILE and --config name two configurations; give one of them', { exitCode: 2 });
    }
    const { writeOut, writeErr } = command.configureOutput();
    const loaded = await loadFromFlags(file === undefined ? flags : { ...flags, config: file });
    if (loaded.problems !== undefined) {
      for (const line of formatProblems(loaded.problems)) writeErr?.(`${line}\n`);
      throw new CommanderError(1, 'request-splitter.notGood', '');
    }
    for (const line of summary(loaded.config, loaded.file ?? 'environment')) writeOut?.(`${line}\n`);
    for (const note of loaded.notes) writeOut?.(`\nnote: ${note}\n`);
  });
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
    const percent = `${Number((share * 100).toFixed(4))}%`;
    const range = ranges[index];
    const owned =
      range === undefined
        ? ''
        : range.to > range.from
          ? `hashes ${range.from} to ${range.to - 1}`
          : 'no hashes';
    const asked = weight !== undefined ? `weight ${weight}` : written === null ? '*' : `${written! / 100}%`;
    return [variant, asked === percent ? percent : `${asked} = ${percent}`, owned, upstream];
  });
  return [
    `  split ${name}: ${split.key} by ${split.method}${withoutKey(splitter, split)}`,
    ...table(rows).map((row) => `    ${row}`),
  ];
}

// A request that carries nothing at all tells whether the key can be missing, and who gets such a request then.
function withoutKey(splitter: Splitter, split: SplitConfig): string {
  const { reason, variant } = splitter.decide(BARE_REQUEST);
  if (reason !== 'missing_key') return '';
  if (variant === null) return '; a request without a key is refused with 400';
  if (split.missingKey === 'random') return '; a request without a key goes anywhere by share';
  return `; a request without a key goes to ${variant.name}`;
}

const BARE_REQUEST: RequestView = {
  bytes: Buffer.from('GET /'),
  methodStart: 0,
  methodEnd: 3,
  targetStart: 4,
  targetEnd: 5,
  fieldValues: () => [],
  host: () => new Uint8Array(),
  remoteAddress: '127.0.0.1',
};

function routeLines(routes: readonly RouteConfig[]): string[] {
  const rows = routes.map((route) => {
    const hosts = route.host ?? 'every host';
    const taken = route.host === undefined && route.path === '/' ? 'every request' : `${hosts} ${route.path}`;
    return [taken, route.split === undefined ? `-> upstream ${route.upstream}` : `-> split ${route.split}`];
  });
  return table(rows).map((row) => `  ${row}`);
}

function formatAddress({ host, port, path }: ListenAddress): string {
  if (path !== null) return `unix:${path}`;
  return `${host?.includes(':') ? `[${host}]` : (host ?? '')}:${port}`;
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

/** Rows with their columns below each other, two spaces apart. */
function table(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]!.length))) ?? [];
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]!))
      .filter((cell) => cell !== '')
      .join('  ')
      .trimEnd(),
  );
}
