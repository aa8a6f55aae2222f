// Replays what a real nginx chose (record.ts) and asks for the same choice, request by request. Needs no nginx.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import murmurhash from 'murmurhash';
import { describe, expect, it } from 'vitest';
import { chooserOf } from '../support/chooser.ts';
import { requestOf, SPLITS } from './cases.ts';

interface Recording {
  readonly nginx: string;
  readonly choices: Readonly<Record<string, string>>;
}

const read = <T>(file: string) =>
  JSON.parse(readFileSync(join(import.meta.dirname, file), 'utf8')) as Recording & T;
const ofTokens = read<{ tokens: string }>('tokens.json');
const ofRequests = read<{ requests: readonly string[] }>('requests.json');
const tokens = ofTokens.tokens.split(' ');

/** Letters of record.ts: an index in base 36, or the hole of nginx before 1.31.2. */
const HOLE = '-';

/** Requests for which the splitter and nginx choose differently, with both choices. */
function differences(name: string, requests: readonly string[], letters: string): string[] {
  const split = SPLITS[name]!;
  const choose = chooserOf(split);
  return requests.flatMap((request, at) => {
    const letter = letters[at]!;
    const index = letter === HOLE ? split.shares.length - 1 : Number.parseInt(letter, 36);
    const choice = choose(Buffer.from(request, 'latin1'));
    return choice === `v${index}`
      ? []
      : [`${JSON.stringify(request.slice(0, 200))}: ${choice}, nginx v${index}`];
  });
}

describe(`the choices of nginx ${ofRequests.nginx}`, () => {
  it('are recorded for every split', () => {
    expect(Object.keys(ofRequests.choices)).toEqual(Object.keys(SPLITS));
    for (const letters of Object.values(ofTokens.choices)) expect(letters).toHaveLength(tokens.length);
    for (const letters of Object.values(ofRequests.choices)) {
      expect(letters).toHaveLength(ofRequests.requests.length);
      expect(letters).not.toContain('!');
    }
  });

  it.each(Object.entries(ofTokens.choices))(
    '%s: every token goes to the variant of nginx',
    (name, letters) => {
      expect(differences(name, tokens.map(requestOf), letters)).toEqual([]);
    },
  );

  it.each(Object.entries(ofRequests.choices))(
    '%s: every odd request goes to the variant of nginx',
    (name, letters) => {
      expect(differences(name, ofRequests.requests, letters)).toEqual([]);
    },
  );

  // nginx before 1.31.2 leaves the hashes that the truncated bounds do not reach to nobody: an empty variable, and so
  // a 500. Since then, and here, the part that reaches 100 % takes them.
  it.each([
    ['halfClosed', [4294967294, 4294967295]],
    ['fifthsClosed', [4294967295]],
  ])(
    '%s: the hole of nginx 1.22 behind 100 %% is at hashes %j and belongs to the last variant here',
    (name, hashes) => {
      const inHole = tokens.filter((_, at) => ofTokens.choices[name]![at] === HOLE);
      expect(new Set(inHole.map((token) => murmurhash.v2(Buffer.from(token), 0)))).toEqual(new Set(hashes));
      const choose = chooserOf(SPLITS[name]!);
      for (const token of inHole)
        expect(choose(Buffer.from(requestOf(token)))).toBe(`v${SPLITS[name]!.shares.length - 1}`);
    },
  );

  it('nowhere else did nginx choose nothing', () => {
    const holes = Object.entries(ofTokens.choices).filter(([, letters]) => letters.includes(HOLE));
    expect(holes.map(([name]) => name)).toEqual(['halfClosed', 'fifthsClosed']);
  });
});
