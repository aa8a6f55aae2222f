// What `check` and `explain` say of an experiment: who takes part, when that changes, what stops it, and why one request
// got what it got.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { runCommand } from '../support/command.ts';

let config: string;

beforeEach(() => {
  const folder = mkdtempSync(join(tmpdir(), 'splitter-experiments-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  config = join(folder, 'splitter.yaml');
});

const VARIANTS = `variants:
      - { name: new, share: 50%, upstream: "http://a" }
      - { name: old, share: "*", upstream: "http://b" }`;

async function run(command: string, document: string, ...words: string[]) {
  writeFileSync(config, document);
  return runCommand([command, '--config', config, ...words]);
}

const LAYERED = `layers: { ads: { key: $arg_token, free: ["0%-20%", "70%-100%"] } }
splits:
  s:
    layer: ads
    slot: 20%-70%
    coverage: { steps: [{ at: 2020-01-01T00:00Z, to: 10% }, { at: 2099-01-01T00:00Z, to: 100% }] }
    shareSteps: [{ at: 2098-01-01T00:00Z, to: { new: 20%, old: "*" } }]
    when: { variable: $http_x_plan, in: [pro, team] }
    guard: { errors: { worseBy: 1 point }, slow: {} }
    ${VARIANTS}
`;

describe('check', () => {
  it('says who takes part, in the order of the steps, and what stops the split', async () => {
    const { code, out } = await run('check', LAYERED);
    expect(code).toBe(0);
    expect(out).toContain('when: $http_x_plan is one of "pro", "team"; the others get old');
    expect(out).toContain('layer: ads, slot 20%-70%; the others get old');
    expect(out).toContain('coverage: 10% of the slot; the others get old');
    const steps = out.split('\n').filter((line) => /^\s+20\d\d-/.test(line));
    expect(steps.map((line) => line.trim().replace(/T\S+/, ''))).toEqual([
      '2020-01-01  coverage 10%, reached',
      '2098-01-01  shares new 20%, old 80%',
      '2099-01-01  coverage 100%',
    ]);
    expect(out).toMatch(
      /guard: stops the split when a variant is worse than old in keys with errors by 1 point or /,
    );
  });

  it('says nothing of that where every key takes part', async () => {
    const { out } = await run('check', `splits:\n  s:\n    key: $arg_token\n    ${VARIANTS}\n`);
    expect(out).not.toMatch(/coverage|layer|guard|when:/);
  });
});

describe('explain', () => {
  const explained = async (document: string, ...words: string[]) =>
    (await run('explain', document, ...words)).out;

  it('says where a key is in its layer and in the coverage', async () => {
    const tokens = Array.from({ length: 12 }, (_, at) => `/?token=${at}`);
    const outs: string[] = [];
    for (const url of tokens) outs.push(await explained(LAYERED, url, '-H', 'X-Plan: pro'));
    for (const out of outs) {
      const [, place, where] = /layer +ads, at ([\d.]+)%, (in|outside) slot 20%-70%/.exec(out)!;
      expect(where).toBe(Number(place) >= 20 && Number(place) < 70 ? 'in' : 'outside');
      const [, enrolled, below] = /coverage +at ([\d.]+)%, (below|not below) 10%/.exec(out)!;
      expect(below).toBe(Number(enrolled) < 10 ? 'below' : 'not below');
      const isEnrolled = where === 'in' && below === 'below';
      expect(out).toMatch(isEnrolled ? /reason +share/ : /reason +not_enrolled/);
    }
    expect(await explained(LAYERED, '/?token=1')).toContain(
      'not_targeted (the request does not fulfil `when`)',
    );
  });

  it('says what a variable was looked up by, and which variant a text chose', async () => {
    const document = `variables: { plan: { of: $arg_p, values: { pro: new, ~^te: old }, default: "" } }
splits:
  s:
    key: $arg_token
    choose: $plan
    ${VARIANTS}
`;
    const chosen = await explained(document, '/?token=1&p=pro');
    expect(chosen).toContain('goes to new');
    expect(chosen).toMatch(/\$plan +"new", the entry "pro" for "pro"/);
    expect(chosen).toMatch(/choose +\$plan = "new"/);
    expect(chosen).toContain('override (asked for by choose: $plan)');
    expect(await explained(document, '/?token=1')).toMatch(/\$plan +"", the default for ""/);
  });

  it('says that an override was asked for and not granted, and what has scores', async () => {
    const document = `splits:
  s:
    key: $arg_token
    method: rendezvous
    override: { header: x-variant, variants: [new], secret: correct-horse-battery }
    ${VARIANTS}
`;
    const out = await explained(document, '/?token=1', '-H', 'X-Variant: new');
    expect(out).toMatch(/override +asked for by header, not granted/);
    expect(out).toMatch(/scores +new -?[\d.e+]+, old -?[\d.e+]+; the highest wins/);
  });

  it('says what a route answers itself', async () => {
    const document = (status: number) => `routes: [{ respond: { status: ${status} } }]\n`;
    expect(await explained(document(204), '/x')).toContain(
      '/x is answered with 204 by its route, without an upstream',
    );
    expect(await explained(document(444), '/x')).toContain(
      'the connection of /x is closed without an answer, because its route says so',
    );
  });

  it('says what was probably meant by a token in place of a URL', async () => {
    const { code, out } = await run('explain', LAYERED, '42');
    expect([code, out]).toEqual([1, expect.stringContaining("did you mean '/?token=42'?")]);
    expect((await run('explain', LAYERED, 'token=42')).out).toContain("did you mean '/?token=42'?");
  });
});
