// Plays one case against one proxy and describes in a few words what the proxy did.
import { get, HOST, type RequestCase, type ResponseCase } from './case.ts';
import { exchange } from './exchange.ts';
import type { Subject } from './subjects.ts';

const statusesIn = (text: string) => [...text.matchAll(/HTTP\/1\.[01] (\d{3})/g)].map((match) => match[1]!);

/** What a proxy does with the bytes of a client, in a few words. */
export async function runRequestCase(subject: Subject, one: RequestCase): Promise<string> {
  const { upstream, port } = subject;
  await exchange(port, get('/warm'), (text) => text.includes('saw /warm'));
  upstream.requests = [];
  upstream.answer = null;
  const { text, ended } = await exchange(port, one.send + get('/marker'), (seen) =>
    seen.includes('saw /marker'),
  );
  const passed = upstream.requests;
  const forged = passed.some(({ line }) => line.includes('/forged'));
  if (forged) return '**the forged request passes**';
  const statuses = statusesIn(text);
  const status = statuses[0] ?? (ended ? 'closes without a response' : 'waits for more');
  const first = passed[0];
  if (first === undefined || status !== '200') {
    if (statuses.length === 0) return status;
    return ended ? `${status}, closes` : `${status}, goes on`;
  }
  return `passes ${one.look?.(first) ?? ''}`.trim();
}

/** What a proxy makes of the bytes of an upstream, in a few words. */
export async function runResponseCase(subject: Subject, one: ResponseCase): Promise<string> {
  const { upstream, port } = subject;
  upstream.answer = null;
  await exchange(port, get('/warm'), (text) => text.includes('saw /warm'));
  upstream.answer = one;
  const method = one.method ?? 'GET';
  const send = `${method} /a HTTP/1.1\r\n${HOST}\r\n`;
  const { text, ended } = await exchange(port, send, (seen) => isWhole(seen, method, false));
  upstream.lastPeer.next = -1;
  const next = await exchange(
    port,
    get('/next'),
    (seen) => seen.includes('saw /next') || seen.includes('forged'),
  );
  if (next.text.includes('forged')) return '**the next client gets the bytes**';
  const statuses = statusesIn(text.split('\r\n\r\nhello')[0]!);
  if (statuses.length === 0 && text !== '') return 'passes the bytes on as a body without a head';
  if (statuses.length === 0) return ended ? 'closes without a response' : 'waits for more';
  const whole = isWhole(text, method, ended) ? '' : ended ? ', then a cut' : ', then silence';
  const isReused = upstream.lastPeer.next === upstream.lastPeer.a;
  return `${statuses.join(' ')}${whole}${isReused ? ', connection used again' : ''}`;
}

/** True when `text` holds a whole final response. */
function isWhole(text: string, method: string, ended: boolean): boolean {
  let rest = text;
  for (;;) {
    const headEnd = rest.indexOf('\r\n\r\n');
    if (headEnd === -1) return false;
    const head = rest.slice(0, headEnd);
    const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(head)?.[1] ?? 0);
    rest = rest.slice(headEnd + 4);
    if (status >= 100 && status < 200 && status !== 101) continue;
    if (method === 'HEAD' || status === 101 || status === 204 || status === 304) return true;
    const length = /^content-length: *(\d+)/im.exec(head)?.[1];
    if (/^transfer-encoding: *chunked/im.test(head)) return /(?:^|\r\n)0\r\n(?:.*\r\n)*?\r\n$/.test(rest);
    return length === undefined ? ended : rest.length >= Number(length);
  }
}
