// An nginx.conf that cannot run, as a person meets it: `check` says why on one screen, within a moment, and ends with 1;
// the program that should serve it serves nothing.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { runCommand } from '../support/command.ts';
import { ProgramRun } from '../support/program.ts';

/** Lines of an answer that still show on a screen; the last of them may say how many more there are. */
const LINES_MAX = 51;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'bad-nginx-'));
  mkdirSync(join(folder, 'folder.d'));
  mkdirSync(join(folder, 'many.d'));
  for (let index = 0; index < 6; index++)
    writeFileSync(join(folder, 'many.d', `${index}.conf`), '# x\n'.repeat(250_000));
  writeFileSync(join(folder, 'huge.conf'), '# x\n'.repeat(500_000));
  writeFileSync(join(folder, 'image.conf'), Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex'));
  execFileSync('mkfifo', [join(folder, 'fifo.conf')]);
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Writes a file and returns its path. */
function file(text: string | Buffer): string {
  const path = join(folder, 'nginx.conf');
  writeFileSync(path, text);
  return path;
}

/** What `check` says of a text: its exit code and its lines, with the folder left out. */
async function check(text: string | Buffer): Promise<{ code: number; lines: string[] }> {
  const { code, out, err } = await runCommand(['check', '--nginx', file(text)]);
  expect(out).toBe('');
  return { code, lines: err.trimEnd().replaceAll(`${folder}/`, '').split('\n') };
}

const repeat = (count: number, line: (index: number) => string): string =>
  Array.from({ length: count }, (_, index) => line(index)).join('');

/** A file that splits, with more in its http and server blocks. */
const splitting = ({ http = '', server = '', target = '$v' }) => `events {}
http {
split_clients $arg_token $v { 50% a; * b; }
upstream a { server 127.0.0.1:9001; } upstream b { server 127.0.0.1:9002; }
${http}
server { listen 8000; location / { proxy_pass http://${target}; }
${server} }
}
`;
const mapping = (entries: string) =>
  splitting({ http: `map $arg_x $m { default a; ${entries} }`, target: '$m' });

describe('an nginx.conf that cannot run is refused by check with 1', () => {
  it.each<[what: string, text: string | Buffer, line: string | RegExp]>([
    [
      'a directive that is unknown in main',
      `frobnicate 1;\n${splitting({})}`,
      'nginx.conf:1:1: expected a directive that can be kept in main, got "frobnicate"',
    ],
    [
      'in events',
      splitting({}).replace('events {}', 'events { frobnicate; }'),
      'nginx.conf:1:10: expected a directive that can be kept in events, got "frobnicate"',
    ],
    [
      'in http',
      splitting({ http: 'frobnicate;' }),
      'nginx.conf:5:1: expected a directive that can be kept in http, got "frobnicate"',
    ],
    [
      'in an upstream',
      splitting({}).replace('9001;', '9001; frobnicate 1;'),
      'nginx.conf:4:37: expected a directive that can be kept in upstream, got "frobnicate"',
    ],
    [
      'in an upstream that nothing asks',
      splitting({ http: 'upstream c { server c; frobnicate; }' }),
      'nginx.conf:5:24: expected a directive that can be kept in upstream, got "frobnicate"',
    ],
    [
      'in a server',
      splitting({ server: 'frobnicate;' }),
      'nginx.conf:7:1: expected a directive that can be kept in server, got "frobnicate"',
    ],
    [
      'in a location',
      splitting({ server: 'location /x { frobnicate; proxy_pass http://a; }' }),
      'nginx.conf:7:15: expected a directive that can be kept in location, got "frobnicate"',
    ],
    [
      'in an if',
      splitting({ server: 'location /x { if ($arg_a) { frobnicate; } proxy_pass http://a; }' }),
      'nginx.conf:7:29: expected a directive that can be kept in if, got "frobnicate"',
    ],
    [
      'in split_clients that nothing reads',
      splitting({ http: 'split_clients $arg_t $w { frobnicate; * b; }' }),
      'nginx.conf:5:27 split_clients: expected a share and a value, like "50% version_1a;", got "frobnicate"',
    ],
    [
      'a map with two defaults',
      mapping('default b;'),
      'nginx.conf:5:28 map: expected one default, got a second one',
    ],
    [
      'maps that read each other',
      splitting({ http: 'map $p $q { default $p; } map $q $p { default $q; }', target: '$p' }),
      'nginx.conf:6:47 proxy_pass: expected a variable that does not read itself, got "$p -> $q -> $p"',
    ],
    [
      'maps that read each other, in a field',
      splitting({
        http: 'map $p $q { default $p; } map $q $p { default $q; }',
        server: 'add_header X $p;',
      }),
      / map: expected a variable that does not read itself, got \$[pq] -> \$[pq] -> \$[pq]$/,
    ],
    [
      'a map that reads itself',
      splitting({ http: 'map $p $p { default $p; }', target: '$p' }),
      'nginx.conf:6:47 proxy_pass: expected a variable that does not read itself, got "$p -> $p"',
    ],
    [
      'maps that read each other very deep',
      splitting({
        http: `map $arg_x $m0 { default a; }\n${repeat(15_000, (i) => `map $m${i} $m${i + 1} { default $m${i}; }\n`)}`,
        target: '$m15000',
      }),
      'nginx.conf:105:10 map: expected maps that read each other 100 levels deep at most, got more',
    ],
    [
      'an include that is missing',
      splitting({ http: 'include /nonexistent/x.conf;' }),
      'nginx.conf:5:9: expected a file that can be read, got "/nonexistent/x.conf": no such file',
    ],
    [
      'a huge include, with the limit',
      splitting({ http: 'include huge.conf;' }),
      'nginx.conf:5:9: expected a file that can be read, got "huge.conf": 2000000 bytes, where 1048576 are the limit',
    ],
    [
      'includes that are huge together',
      splitting({ http: 'include many.d/*.conf;' }),
      'nginx.conf:5:9: expected includes of 4 MiB together at most, got "many.d/4.conf", which makes it more',
    ],
    [
      'an include that is an image',
      splitting({ http: 'include image.conf;' }),
      'image.conf:1:1: expected an nginx configuration in UTF-8, got binary data (no UTF-8)',
    ],
    [
      'an include that is a folder',
      splitting({ http: 'include folder.d;' }),
      'nginx.conf:5:9: expected a file that can be read, got "folder.d": a directory',
    ],
    [
      'an include that is a pipe',
      splitting({ http: 'include fifo.conf;' }),
      'nginx.conf:5:9: expected a file that can be read, got "fifo.conf": no regular file',
    ],
    [
      'an include of itself',
      splitting({ http: 'include nginx.conf;' }),
      'nginx.conf:5:9: expected includes of 16 levels and 256 files at most, got "nginx.conf"',
    ],
    [
      'a file that is an image',
      Buffer.from('89504e470d0a1a0a', 'hex'),
      'nginx.conf:1:1: expected an nginx configuration in UTF-8, got binary data (no UTF-8)',
    ],
    ['an empty file', '', 'nginx.conf:1:1: expected a server block, got none'],
    [
      'a file that is cut in a word',
      splitting({}).slice(0, 57),
      'nginx.conf:3:38: expected ";" at the end of a directive, got "*" and the end of the file',
    ],
    [
      'a file that is cut in a block',
      splitting({}).slice(0, -3),
      'nginx.conf:2:1: expected "}" at the end of the block, got the end of the file',
    ],
    [
      'a quote that is never closed',
      splitting({ http: 'add_header X "abc;' }),
      'nginx.conf:5:14: expected a closing ", got the end of the file',
    ],
    [
      'a pattern with look-ahead',
      mapping('~^(?!x)y b;'),
      'nginx.conf:5:37 map: expected a regular expression that runs in linear time, without look-ahead and look-behind, got "^(?!x)y"',
    ],
    [
      'a pattern with a back-reference',
      mapping('"~(x)\\\\1" b;'),
      'nginx.conf:5:38 map: expected a regular expression that runs in linear time, without back-references, got "(x)\\\\1"',
    ],
    [
      'a pattern that is far too large when it is written out',
      mapping('"~^((x{1,1000}){1,1000}){1,1000}$" b;'),
      /^nginx\.conf:5:63 map: expected a regular expression of RE2 \(.*too large\), got /,
    ],
    [
      'a pattern that is too long',
      mapping(`"~${'x|'.repeat(5000)}" b;`),
      'nginx.conf:5:10032 map: expected a regular expression of 2048 bytes at most, got 10000',
    ],
    [
      'a pattern of thousands of groups',
      mapping(`"~${'('.repeat(1000)}x${')'.repeat(1000)}" b;`),
      /^nginx\.conf:5:2033 map: expected a regular expression of RE2 \(.{10,120}\), got .{10,70}$/,
    ],
    [
      'a location whose pattern is broken',
      splitting({ server: 'location ~ (x { proxy_pass http://a; }' }),
      /^nginx\.conf:7:1 location: expected a regular expression of RE2/,
    ],
    [
      '10,000 braces',
      'a {'.repeat(10_000),
      'nginx.conf:1:48: expected blocks of 16 levels at most, got one more',
    ],
  ])('%s', async (_, text, line) => {
    const { code, lines } = await check(text);
    expect(code).toBe(1);
    expect(lines).toEqual([expect.stringMatching(typeof line === 'string' ? /^/ : line)]);
    if (typeof line === 'string') expect(lines).toEqual([line]);
  });

  it.each<[what: string, text: string, first: string]>([
    [
      '10,000 locations with a mistake each',
      splitting({ server: repeat(10_000, (i) => `location /p${i} { frobnicate; }\n`) }),
      'nginx.conf:7:1',
    ],
    [
      '10,000 locations of one path',
      splitting({ server: repeat(10_000, () => 'location /p { proxy_pass http://a; }\n') }),
      'nginx.conf:8:1 location: expected each path once in a server, got /p again',
    ],
    [
      '10,000 entries of a map that are no entries',
      mapping(repeat(10_000, (i) => `k${i} a b;\n`)),
      'nginx.conf:5:28 map: expected what is compared, and its value, got "k0"',
    ],
    ['10,000 closing braces', '}'.repeat(10_000), 'nginx.conf:1:1: expected a directive, got "}"'],
  ])('%s: the first problems, and how many more there are', async (_, text, first) => {
    const { code, lines } = await check(text);
    expect(code).toBe(1);
    expect(lines[0]).toContain(first);
    expect(lines).toHaveLength(LINES_MAX);
    expect(lines.at(-1)).toMatch(/^… and \d{4,5} more problems$/);
  });
});

describe('the program with an nginx.conf that cannot run', () => {
  it.each<[what: string, text: string]>([
    ['an unknown directive', splitting({ server: 'frobnicate;' })],
    ['a map with two defaults', mapping('default b;')],
    ['a huge include', splitting({ http: 'include huge.conf;' })],
  ])('%s: ends with 1 and one line', async (_, text) => {
    const run = new ProgramRun(['--nginx', file(text)], {});
    onTestFinished(() => run.kill());
    expect(await run.exitCode).toBe(1);
    expect(run.stderr.trim().split('\n')).toEqual([
      expect.stringMatching(/nginx\.conf:\d+:\d+.*: expected /),
    ]);
  });
});

describe('what only looks dangerous', () => {
  it.each<[what: string, text: string]>([
    ['patterns that explode elsewhere run in linear time', mapping('"~^(x+)+$" b; "~^(x|xx)*y$" b;')],
    ['10,000 entries of a map', mapping(repeat(10_000, (i) => `k${i} b;\n`))],
  ])('%s, and the file is good', async (_, text) => {
    expect(await runCommand(['check', '--nginx', file(text)])).toMatchObject({ code: 0, err: '' });
  });
});
