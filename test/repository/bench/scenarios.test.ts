// What the bench sends: the same in every run, and no two requests alike.
import { describe, expect, it } from 'vitest';
import { requestsOf, SCENARIOS, serialize } from '../../../bench/scenarios.ts';

describe('the requests of a scenario', () => {
  it.each(SCENARIOS)('$name: are the same in every run, and each is another', (scenario) => {
    const texts = requestsOf(scenario, 500).map((one) => serialize(one, 'host', false));
    expect(requestsOf(scenario, 500).map((one) => serialize(one, 'host', false))).toEqual(texts);
    expect(new Set(texts).size).toBe(500);
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
