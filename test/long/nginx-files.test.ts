// Files of nginx of many shapes, each with its requests, in a real nginx and here: status, upstream, target, fields and
// bodies have to be the same. What differs on purpose is listed with its reason, and each entry of the list has to be needed.
// Skipped, with the reason printed, without nginx.
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer, type Server as HttpServer } from 'node:http';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Ambassador } from '../../src/ambassador.ts';
import { translateNginx } from '../../src/config/load.ts';
import { formatProblems } from '../../src/config/problem.ts';
import { loadPatternEngine } from '../../src/key/pattern.ts';
import { freePort } from '../support/free-port.ts';
import { NGINX_VERSION, startNginxFile } from '../support/nginx.ts';
import { DELIBERATE } from './nginx-differences.ts';

const FILES = globSync('nginx-files/*.conf', { cwd: import.meta.dirname })
  .sort()
  .map((path) => ({
    name: basename(path, '.conf'),
    text: readFileSync(join(import.meta.dirname, path), 'utf8'),
  }));

beforeAll(loadPatternEngine);

/** What servers that fail write; null = they close. */
const BAD_SERVERS: Readonly<Record<string, string | null>> = {
  CLOSES: null,
  SILENT: '',
  UNAVAILABLE: 'HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n',
  NONSENSE: 'HTTP/1.1 200 OK\r\nno colon here\r\n\r\n',
};

/** What came of one request, as far as the two have to agree. */
interface Outcome {
  readonly status: string;
  /** Fields of the response but those that belong to the connection. */
  readonly fields: readonly string[];
  /** What the upstream saw, or the body where none was asked. */
  readonly body: unknown;
}

interface Asked {
  readonly port: 'L' | 'L2';
  readonly line: string;
  readonly bytes: string;
}

const CONNECTION_FIELD =
  /^(?:connection|date|keep-alive|server|transfer-encoding|content-length|x-splitter-error):/i;

/** `#> METHOD TARGET [HTTP/1.0] | Field: value | ^PREFACE || body`, `||| chunked body`, `#> tokens N TARGET`. */
function readRequests(text: string): Asked[] {
  return [...text.matchAll(/^#(2?)> (.*)$/gm)].flatMap(([, second, line]) => {
    const [, count, target] = /^tokens (\d+) (\S+)$/.exec(line!) ?? [];
    const port = second === '2' ? 'L2' : 'L';
    if (target === undefined) return [{ port, line: line!, bytes: requestBytes(line!) }];
    return Array.from({ length: Number(count) }, (_, index) => {
      const own = `GET ${target}user-${index}`;
      return { port, line: own, bytes: requestBytes(own) } as const;
    });
  });
}

function requestBytes(line: string): string {
  const [head = '', chunk] = line.split(' ||| ');
  const [front = '', body] = head.split(' || ');
  const [start = '', ...segments] = front.split(' | ');
  const preface = segments.filter((one) => one.startsWith('^')).map((one) => `${one.slice(1)}\r\n`);
  const fields = segments.filter((one) => !one.startsWith('^'));
  const size = fields.find((one) => one.startsWith('X-Size: '));
  const content = size === undefined ? body : 'x'.repeat(Number(size.slice(8)));
  const version = / HTTP\/1\.0$/.test(start) ? '' : ' HTTP/1.1';
  const has = (name: string) => fields.some((field) => field.toLowerCase().startsWith(`${name}:`));
  return [
    ...preface,
    `${start}${version}\r\n`,
    ...(has('host') ? [] : ['Host: shop.example\r\n']),
    ...(has('connection') ? [] : ['Connection: close\r\n']),
    ...fields.map((field) => `${field}\r\n`),
    ...(content === undefined ? [] : [`Content-Length: ${content.length}\r\n`]),
    '\r\n',
    content ?? '',
    chunk === undefined ? '' : `${chunk.length.toString(16)}\r\n${chunk}\r\n0\r\n\r\n`,
  ].join('');
}

/** Sends the bytes and reads to the end of the connection. */
function ask(port: number, bytes: string): Promise<string> {
  return new Promise((resolve) => {
    let received = '';
    const socket = connect(port, '127.0.0.1');
    socket.setEncoding('latin1');
    socket.on('data', (text) => {
      received += text;
      // A kept connection that has answered whole.
      if (/^HTTP\/1\.\d \d+[\s\S]*?\r\nConnection: keep-alive\r\n/i.test(received)) socket.end();
    });
    socket.on('close', () => resolve(received));
    socket.on('error', () => undefined);
    socket.write(bytes, 'latin1');
  });
}

function readOutcome(response: string, ports: ReadonlyMap<string, string>): Outcome {
  const end = response.indexOf('\r\n\r\n');
  const [status = '', ...lines] = response.slice(0, Math.max(end, 0)).split('\r\n');
  const neutral = (text: string) => {
    let shown = text;
    for (const [name, port] of ports) shown = shown.replaceAll(`:${port}`, `:<${name}>`);
    return shown;
  };
  // The clock moves between the two: what counts is how far from the date of the response it is, to ten seconds.
  const date = Date.parse(/^date: (.*)$/im.exec(lines.join('\n'))?.[1] ?? '');
  const fields = lines
    .filter((line) => !CONNECTION_FIELD.test(line))
    .map((line) =>
      line.replace(/^(expires: )(.*)$/i, (_, name: string, at: string) => {
        const seconds = (Date.parse(at) - date) / 10_000;
        return `${name}${Math.round(seconds) * 10} s`;
      }),
    )
    .map((line) => neutral(line.replace(/^[^:]+/, (name) => name.toLowerCase())));
  const raw = response.slice(end + 4);
  const text = lines.some((line) => /^transfer-encoding: chunked/i.test(line)) ? unchunked(raw) : raw;
  const seen = /^\{"upstream".*\}$/s.exec(text)?.[0];
  // nginx writes its name into its pages, and a failure of an upstream is told in another text.
  const body =
    seen !== undefined ? JSON.parse(neutral(seen)) : /<center>|^[A-Z_0-9]+: /.test(text) ? 'a page' : text;
  return { status: status.split(' ')[1] ?? 'none', fields: fields.sort(), body };
}

function unchunked(text: string): string {
  let body = '';
  let at = 0;
  for (;;) {
    const lineEnd = text.indexOf('\r\n', at);
    const size = Number.parseInt(text.slice(at, lineEnd), 16);
    if (lineEnd < 0 || !(size > 0)) return body;
    body += text.slice(lineEnd + 2, lineEnd + 2 + size);
    at = lineEnd + 4 + size;
  }
}

/** An upstream that says what it saw; /status/N answers with that status, /fields with fields of its own. */
function startEcho(upstream: string): Promise<HttpServer> {
  const server = createHttpServer((request, response) => {
    let body = '';
    request.setEncoding('latin1');
    request.on('data', (text: string) => {
      body += text;
    });
    request.on('end', () => {
      const fields: string[] = [];
      for (let at = 0; at < request.rawHeaders.length; at += 2) {
        const name = request.rawHeaders[at]!.toLowerCase();
        if (name !== 'connection' && name !== 'x-size') fields.push(`${name}: ${request.rawHeaders[at + 1]}`);
      }
      const status = Number(/^\/status\/(\d+)/.exec(request.url!)?.[1] ?? 200);
      response.statusCode = status;
      response.setHeader('Content-Type', 'application/json');
      if (request.url!.startsWith('/fields')) {
        response.setHeader('X-Powered-By', 'echo');
        response.setHeader('Set-Cookie', ['a=1', 'b=2']);
        response.setHeader('ETag', '"1"');
        response.setHeader('Cache-Control', 'no-store');
      }
      if (status >= 300 && status < 309 && status !== 304)
        response.setHeader('Location', 'https://far.example/');
      const seen = { upstream, method: request.method, target: request.url, fields: fields.sort(), body };
      response.end(JSON.stringify(seen));
    });
  });
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)));
}

const addressOf = (server: Server) => `127.0.0.1:${(server.address() as AddressInfo).port}`;

describe.skipIf(NGINX_VERSION === null)('the same file, in nginx and here', () => {
  const directory = mkdtempSync(join(tmpdir(), 'splitter-files-'));
  const servers: Server[] = [];
  const addresses = new Map<string, string>();
  const used = new Set<number>();

  beforeAll(async () => {
    for (const name of ['A', 'B', 'C']) {
      const server = await startEcho(name);
      servers.push(server);
      addresses.set(name, addressOf(server));
    }
    for (const [name, answer] of Object.entries(BAD_SERVERS)) {
      const server = createServer((socket) => {
        socket.on('error', () => undefined);
        socket.once('data', () => (answer === null ? socket.destroy() : socket.write(answer)));
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      servers.push(server);
      addresses.set(name, addressOf(server));
    }
    addresses.set('INCLUDES', join(import.meta.dirname, 'nginx-files', 'includes'));
    addresses.set('DEAD', `127.0.0.1:${await freePort()}`);
  });

  afterAll(() => {
    for (const server of servers) server.close();
    rmSync(directory, { recursive: true });
  });

  it(`has at least ninety of them (nginx ${NGINX_VERSION})`, () => {
    expect(FILES.length).toBeGreaterThanOrEqual(90);
  });

  it.each(FILES)('$name', async ({ name, text }) => {
    const requests = readRequests(text);
    expect(requests.length).toBeGreaterThan(0);
    const filled = async () => {
      const ports = new Map([
        ['L', String(await freePort())],
        ['L2', String(await freePort())],
      ]);
      const conf = text.replace(/<([A-Z]+2?)>/g, (_, key: string) => ports.get(key) ?? addresses.get(key)!);
      return { conf, ports };
    };
    const theirs = await filled();
    const ours = await filled();
    const nginx = await startNginxFile(theirs.conf, Number(theirs.ports.get('L')));
    const file = join(directory, `${name}.conf`);
    writeFileSync(file, ours.conf);
    const parsed = await translateNginx(file);
    expect(formatProblems(parsed.problems ?? [])).toEqual([]);
    const ambassador = new Ambassador({ ...parsed.config!, admin: null }, { log: pino({ level: 'silent' }) });
    await ambassador.start();
    try {
      const pairs = await Promise.all(
        requests.map(async ({ port, line, bytes }) => {
          const [one, other] = await Promise.all([
            ask(Number(theirs.ports.get(port)), bytes),
            ask(Number(ours.ports.get(port)), bytes),
          ]);
          return { line, nginx: readOutcome(one, theirs.ports), here: readOutcome(other, ours.ports) };
        }),
      );
      const different = pairs.filter(({ line, nginx: expected, here }) => {
        if (JSON.stringify(expected) === JSON.stringify(here)) return false;
        const index = DELIBERATE.findIndex(
          (one) => one.file.test(name) && one.request.test(line) && one.isSo(expected, here),
        );
        used.add(index);
        return index < 0;
      });
      expect(different.map(({ line, here }) => ({ line, ...here }))).toEqual(
        different.map(({ line, nginx: expected }) => ({ line, ...expected })),
      );
    } finally {
      await ambassador.stop();
      await nginx.stop();
    }
  });

  it('each deliberate difference is one', () => {
    const unused = DELIBERATE.filter((_, index) => !used.has(index)).map(({ reason }) => reason);
    expect(unused).toEqual([]);
  });
});
