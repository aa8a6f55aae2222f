// The embedded echo answers as hashicorp/http-echo 1.0 does.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Echo, startEcho } from '../../src/demo/echo.ts';

let echo: Echo;
beforeAll(async () => {
  echo = await startEcho('hello backend');
});
afterAll(() => echo.close());

test.each(['/', '/?token=42', '/any/path', '/healthy'])(
  '%s is answered with the text and a line end',
  async (path) => {
    const response = await fetch(echo.url + path);
    expect([response.status, await response.text()]).toEqual([200, 'hello backend\n']);
    expect(response.headers.get('content-type')).toBe('text/plain; charset=utf-8');
    expect(response.headers.get('content-length')).toBe('14');
    expect(response.headers.get('x-app-name')).toBe('http-echo');
    expect(response.headers.get('x-app-version')).toBe('1.0.0');
  },
);

test('a body is read and forgotten', async () => {
  const response = await fetch(echo.url, { method: 'POST', body: 'x'.repeat(1_000_000) });
  expect(await response.text()).toBe('hello backend\n');
});

test('HEAD has no body', async () => {
  const response = await fetch(echo.url, { method: 'HEAD' });
  expect([response.headers.get('content-length'), await response.text()]).toEqual(['14', '']);
});

test('/health says ok', async () => {
  expect(await (await fetch(`${echo.url}/health`)).text()).toBe('{"status":"ok"}\n');
});
