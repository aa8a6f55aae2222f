// How the splitter is started when it is measured: as its image starts it, and with what a scenario says it has.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { imageNodeFlags } from '../../../bench/image-flags.ts';
import { largeConfig, NODE_FLAGS, RIVALS } from '../../../bench/rivals.ts';
import { parseConfig } from '../../../src/config/parse.ts';

const root = join(import.meta.dirname, '..', '..', '..');
const place = {
  listen: 8001,
  admin: 8002,
  upstreamA: 8003,
  upstreamB: 8004,
  profileTo: null,
  recordTo: null,
};
const commandOf = (name: string) => RIVALS.find((rival) => rival.name === name)!.command(place);

describe('the flags of node', () => {
  it('are those of the last ENTRYPOINT of the Dockerfile', () => {
    const text =
      'FROM a\nENTRYPOINT ["node", "/old.js"]\nFROM b\nENTRYPOINT ["node", "--a=1", "--b", "/app/main.js"]\n';
    expect(imageNodeFlags(text)).toEqual(['--a=1', '--b']);
  });

  it.each([
    'FROM a\n',
    'ENTRYPOINT node main.js\n',
    'ENTRYPOINT ["/bin/sh", "main.js"]\n',
    'ENTRYPOINT ["node"]\n',
  ])('are not guessed from %j', (text) => {
    expect(() => imageNodeFlags(text)).toThrow(/^Dockerfile: expected ENTRYPOINT/);
  });

  it('are there for each of the splitters, in front of the entry', () => {
    expect(NODE_FLAGS.length).toBeGreaterThan(0);
    const own = RIVALS.filter(({ name }) => name.startsWith('request-splitter'));
    expect(own).toHaveLength(7);
    for (const { name } of own) {
      const { args } = commandOf(name);
      expect(args.slice(0, NODE_FLAGS.length + 1), name).toEqual([
        ...NODE_FLAGS,
        join(root, 'dist', 'main.js'),
      ]);
    }
  });
});

describe('the configurations', () => {
  const configOf = (name: string) => {
    const { args } = commandOf(name);
    const path = args[args.indexOf('--config') + 1]!;
    const text = readFileSync(path, 'utf8');
    expect(text.replaceAll(/^#.*$/gm, '')).not.toMatch(/@[A-Z_]+@/);
    return { text, path };
  };

  it('of the observed one turns on all that lets one see it', () => {
    const { text, path } = configOf('request-splitter-observed');
    const parsed = parseConfig(text, path);
    expect(parsed).toMatchObject({
      config: {
        accessLog: { mode: 'all' },
        assignments: { to: 'stdout' },
        requestId: true,
        traceparent: 'sampled',
        variantHeader: { to: ['upstream', 'client'] },
      },
    });
    expect(RIVALS.find(({ name }) => name === 'request-splitter-observed')?.isScraped).toBe(true);
  });

  it('of the one that logs everything logs each request, its id and its assignment to a pipe', () => {
    const { text, path } = configOf('request-splitter-logged');
    expect(parseConfig(text, path)).toMatchObject({
      config: { accessLog: { mode: 'all' }, assignments: { to: 'stdout' }, requestId: true },
    });
    expect(RIVALS.filter(({ isPiped }) => isPiped)).toHaveLength(3);
  });

  it('of an nginx that logs has the members of our line, and leaves nothing open', () => {
    const { args } = commandOf('nginx-logged');
    const text = readFileSync(args[args.indexOf('-c') + 1]!, 'utf8');
    expect(text).toContain('"requestId":"$request_id"');
    expect(text).toContain('access_log /dev/stdout json;');
    expect(text.replaceAll(/^#.*$/gm, '')).not.toMatch(/@[A-Z_]+@/);
  });

  it('of many routes and variants are accepted', () => {
    const { config } = parseConfig(
      largeConfig(10, 21)
        .replaceAll(/@[A-Z_]+@/g, '8001')
        .replace('127.0.0.1:8001', '127.0.0.1:8002'),
      'large.yaml',
    );
    expect(config?.routes).toHaveLength(21);
  });

  it('record what happens inside only where that is wished for', () => {
    const { args, env } = RIVALS[0]!.command({ ...place, recordTo: '/there' });
    expect(args[args.indexOf('--import') + 1]).toBe(join(root, 'bench', 'inside.js'));
    expect(env.BENCH_RECORD_TO).toBe('/there');
    expect(commandOf('request-splitter').args).not.toContain('--import');
  });

  it('of the pipelining one differs from the usual one in nothing else', () => {
    expect(configOf('request-splitter-pipelining').text).toContain('pool: { pipelining: 16 }');
  });

  it('of the one with two workers is the usual one with two workers', () => {
    const { WORKERS, ...rest } = commandOf('request-splitter-2-workers').env;
    expect(WORKERS).toBe('2');
    expect(rest).toEqual(commandOf('request-splitter').env);
  });
});
