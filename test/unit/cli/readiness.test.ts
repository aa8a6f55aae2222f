// Where the health check of an image finds the admin port without the grammar of the configuration: right, or not at all.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { askReadiness, CONFIG_FILE, findAdmin } from '../../../src/cli/readiness.ts';
import { ADMIN_DEFAULT, parseListen } from '../../../src/config/listen-address.ts';
import { DEFAULT_FILE } from '../../../src/config/load.ts';
import { parseConfig } from '../../../src/config/parse.ts';

const SPLIT =
  'splits: { s: { key: $arg_token, variants: [{ name: a, share: "*", upstream: "http://a" }] } }\n';
let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'readiness-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const inFile = (text: string) => {
  const file = join(folder, 'splitter.yaml');
  writeFileSync(file, text);
  return findAdmin({}, file);
};
const absent = () => join(folder, 'absent.yaml');

describe('the address in a file', () => {
  test.each([
    'admin: ":9902"',
    "admin: ':9902'",
    'admin: :9902',
    'admin:   ":9902"   # for the probes',
    'admin: "127.0.0.1:9902"',
    'admin: "[::1]:9902"',
    'admin: "unix:/run/admin.sock"',
    'admin: off',
    'admin: "off"',
    '# admin: ":1"\nadmin: ":9902"',
    'listen: ":8001"',
    '# the admin port is left as it is',
    'admin: ":9902"\r',
  ])('%j is what the whole grammar reads', (line) => {
    const text = `${line}\n${SPLIT}`;
    const { config } = parseConfig(text, 'splitter.yaml');
    expect(inFile(text)).toEqual(config!.admin);
  });

  test.each([
    ['"admin": ":9902"', 'a quoted key'],
    ['"adm\\u0069n": ":9902"', 'an escaped key'],
    ['{ admin: ":9902" }', 'a flow mapping'],
    ['admin:\n  ":9902"', 'a value on the next line'],
    ['admin: &a ":9902"', 'an anchor'],
    ['admin: *a', 'an alias'],
    ['admin: ":9902"\nadmin: ":9903"', 'two of them'],
    ['upstreams: { admin: { url: "http://admin" } }', 'the word elsewhere'],
    ['admin: ":99020"', 'no port'],
    ['admin: ""', 'nothing'],
  ])('%j is left to the whole grammar: %s', (text) => {
    expect(inFile(`${text}\n${SPLIT}`)).toBeUndefined();
  });
});

describe('the address', () => {
  test('is the default one where nothing names a file and there is none', () => {
    expect(findAdmin({}, absent())).toEqual(parseListen(ADMIN_DEFAULT));
    expect(findAdmin({ ADMIN: '', CONFIG: '', NGINX: '', SPLIT: '* http://a' }, absent())).toEqual(
      parseListen(ADMIN_DEFAULT),
    );
  });

  test('in ADMIN comes before the one in the file', () => {
    const file = join(folder, 'other.yaml');
    writeFileSync(file, 'admin: ":1"');
    expect(findAdmin({ ADMIN: ':9903', CONFIG: file })).toEqual(parseListen(':9903'));
    expect(findAdmin({ CONFIG: file })).toEqual(parseListen(':1'));
    expect(findAdmin({ ADMIN: 'off' })).toBeNull();
  });

  test.each([
    [{ ADMIN: '9901' }],
    [{ CONFIG: '/nowhere/splitter.yaml' }],
    [{ CONFIG: '/' }],
    [{ NGINX: '/etc/nginx/nginx.conf' }],
  ])('of %j is left to the whole grammar', (environment) => {
    expect(findAdmin(environment, absent())).toBeUndefined();
  });

  test('is looked for in the file that `serve` reads', () => {
    expect(CONFIG_FILE).toBe(DEFAULT_FILE);
  });
});

describe('an answer that is none', () => {
  let server: Server | undefined;
  afterEach(() => server?.close());

  const listening = (answer: string) =>
    new Promise<number>((resolve) => {
      server = createServer((socket) => socket.on('error', () => undefined).end(answer)).listen(
        0,
        '127.0.0.1',
        () => resolve((server!.address() as { port: number }).port),
      );
    });

  test.each(['', 'SSH-2.0-x\r\n', 'HTTP/1.1 200'])('like %j is not ready', async (answer) => {
    const port = await listening(answer);
    expect(await askReadiness({ host: '127.0.0.1', port, path: null })).toBe(
      `http://127.0.0.1:${port} does not answer in HTTP/1.1`,
    );
  });

  test('is read to a limit', async () => {
    const port = await listening(`HTTP/1.1 503 Service Unavailable\r\n\r\n${'x'.repeat(10_000_000)}`);
    const answer = await askReadiness({ host: null, port, path: null });
    expect(answer!.length).toBeLessThan(1_000_000);
  });
});
