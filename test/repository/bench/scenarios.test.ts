// What the bench sends: the same in every run, and no two requests alike.
import { describe, expect, it } from 'vitest';
import { requestsOf, SCENARIOS, serialize } from '../../../bench/scenarios.ts';

describe('the requests of a scenario', () => {
  it.each(SCENARIOS)('$name: are the same in every run, and each is another', (scenario) => {
    const count = scenario.bodyBytes > 10_000 ? 10 : 500;
    const texts = requestsOf(scenario, count).map((one) => serialize(one, 'host', false));
    expect(requestsOf(scenario, count).map((one) => serialize(one, 'host', false))).toEqual(texts);
    expect(new Set(texts).size).toBe(count);
  });

  it('go to a thousand paths where routes are measured, and in chunks where those are', () => {
    const one = (name: string) => SCENARIOS.find((scenario) => scenario.name === name)!;
    expect(requestsOf(one('routes-1000'), 1002).at(-1)!.path).toMatch(/^\/small\/route-00001\/item\?token=/);
    const text = serialize(requestsOf(one('chunked-both'), 1)[0]!, 'host', false);
    expect(text).toContain('Transfer-Encoding: chunked\r\n\r\n1000\r\npppp');
    expect(text.endsWith('\r\n0\r\n\r\n')).toBe(true);
    expect(requestsOf(one('post-1m'))).toHaveLength(64);
  });

  it('frame a body by its length and say when the connection ends', () => {
    const post = SCENARIOS.find(({ name }) => name === 'post-4k')!;
    const text = serialize(requestsOf(post, 1)[0]!, 'host:1', true);
    const [head, body] = text.split('\r\n\r\n');
    expect(head).toMatch(/^POST \/small\?token=\w+ HTTP\/1\.1\r\nHost: host:1\r\n/);
    expect(head).toContain('Connection: close');
    expect(head).toContain('Content-Length: 4096');
    expect(body).toHaveLength(4096);
  });
});
