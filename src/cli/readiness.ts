// Asks /readyz of a running splitter. Finds the admin port without parsing the configuration, where that is safe. An
// image runs this every few seconds, so it loads next to nothing: no command line, no YAML, no HTTP client.

import { connect } from 'node:net';
import { ADMIN_DEFAULT, type ListenAddress, parseListen } from '../config/listen-address.ts';
import { readRegularFileSync } from '../regular-file.ts';

const TIMEOUT_MS = 2000;
/** Longer ones than a list of upstreams in trouble are no answer of ours. */
const ANSWER_LENGTH_MAX = 65_536;

/** DEFAULT_FILE of config/load.ts, which is too much to load; a test compares the two. */
export const CONFIG_FILE = '/etc/request-splitter/splitter.yaml';
const FILE_BYTES_MAX = 1024 * 1024;

/**
 * The admin port that environment and file name; null where it is off. Undefined where only the whole grammar can tell:
 * for an nginx.conf that is named, a file that cannot be read, or one that says `admin` in any but the plainest way.
 */
export function findAdmin(
  environment: { readonly [name: string]: string | undefined },
  defaultFile = CONFIG_FILE,
): ListenAddress | null | undefined {
  const { ADMIN, CONFIG, NGINX } = environment;
  if (ADMIN) return readAddress(ADMIN);
  if (NGINX) return undefined;
  try {
    return findInFile(readRegularFileSync(CONFIG || defaultFile, FILE_BYTES_MAX).toString());
  } catch (cause) {
    const isAbsent = !CONFIG && (cause as NodeJS.ErrnoException).code === 'ENOENT';
    return isAbsent ? readAddress(ADMIN_DEFAULT) : undefined;
  }
}

function findInFile(text: string): ListenAddress | null | undefined {
  const lines = text.split(/\r?\n/).filter((line) => !/^\s*#/.test(line));
  // An escape could spell the key in other letters.
  const [line, ...more] = lines.filter((one) => /admin|\\/.test(one));
  if (line === undefined) return readAddress(ADMIN_DEFAULT);
  const value = /^admin:[ \t]+(["']?)([\w.:[\]*/-]+)\1[ \t]*(?:#.*)?$/.exec(line)?.[2];
  return value === undefined || more.length > 0 ? undefined : readAddress(value);
}

function readAddress(text: string): ListenAddress | null | undefined {
  return text === 'off' ? null : parseListen(text);
}

/** Null when the splitter at this admin port is ready, else why not. It takes two seconds at most. */
export async function askReadiness(admin: ListenAddress | null): Promise<string | null> {
  if (admin === null) return 'the admin port is off: expected an address, got admin: off';
  const { host, port, path } = admin;
  const reachable = loopbackOf(host);
  const origin =
    path === null
      ? `http://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`
      : `unix:${path}`;
  try {
    const answer = await getStatus(path === null ? { host: reachable, port } : { path });
    const [, status, body] = /^HTTP\/1\.1 (\d{3}) .*?\r\n\r\n(.*)$/s.exec(answer) ?? [];
    if (status === undefined) return `${origin} does not answer in HTTP/1.1`;
    return status === '200' ? null : body!.trim();
  } catch (cause) {
    return `${origin} does not answer: ${(cause as Error).message}`;
  }
}

/** Where a host that is listened on can be reached from here: "every address" through loopback. */
function loopbackOf(host: string | null): string {
  if (host === null || host === '0.0.0.0') return '127.0.0.1';
  return host === '::' ? '::1' : host;
}

/** The whole answer to a GET of /readyz. */
function getStatus(
  where: { readonly host: string; readonly port: number } | { readonly path: string },
): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(where);
    const timer = setTimeout(
      () => socket.destroy(new Error(`no answer within ${TIMEOUT_MS / 1000} s`)),
      TIMEOUT_MS,
    );
    let text = '';
    socket.setEncoding('latin1').on('data', (part: string) => {
      if (text.length < ANSWER_LENGTH_MAX) text += part;
    });
    socket.on('error', reject);
    socket.on('end', () => resolve(text));
    socket.on('close', () => {
      clearTimeout(timer);
      resolve(text);
    });
    socket.write('GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
  });
}
