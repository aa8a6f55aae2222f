// Records the golden data: asks a real nginx for every split of cases.ts, for tokens and for whole odd requests, and
// writes what it chose. To record again, with nginx installed:  npx node test/golden/record.ts
// The result depends on cases.ts and on nginx alone: recording twice gives the same files.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseShare } from '../../src/config/options/share.ts';
import { boundsOf } from '../../src/split/ranges.ts';
import { NGINX_VERSION, type NginxSplit, startNginxOfSplits } from '../support/nginx.ts';
import { askAll } from '../support/pipeline.ts';
import { randomTokens, tokenOfHash } from '../support/tokens.ts';
import { FRAGMENT_REQUESTS, ODD_REQUESTS, requestOf, SPLITS } from './cases.ts';

const TOKENS = 3000;
/** Where nginx answered 400, no split was asked. */
const REFUSED = '!';
/** nginx before 1.31.2 chose nothing: the hole behind explicit shares of 100 %. */
const HOLE = '-';

const onlyToken = (split: NginxSplit) => /arg_token/i.test(split.key);

/** A generator of its own, so that the same tokens are recorded each time. */
function pseudoRandom(): () => number {
  let state = 1;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Tokens at both sides of every bound of every split on the token alone, and at both ends of the hashes. */
function tokensAtBounds(): string[] {
  const splits = Object.values(SPLITS).filter(({ key }) => key === '$arg_token');
  const bounds = splits.flatMap(({ shares }) =>
    boundsOf(shares.map((share) => ({ name: '', upstream: '', share: parseShare(share) ?? null }))),
  );
  const hashes = new Set(bounds.flatMap((bound) => [bound - 2, bound - 1, bound, bound + 1, 0]));
  return [...hashes].filter((hash) => hash >= 0 && hash < 2 ** 32).map(tokenOfHash);
}

/** One character per request: the variant's index in base 36. */
async function record(
  names: readonly string[],
  requests: readonly string[],
): Promise<Record<string, string>> {
  const nginx = await startNginxOfSplits(names.map((name) => SPLITS[name]!));
  const answers = await askAll(
    nginx.port,
    requests.map((text) => Buffer.from(text, 'latin1')),
    { depth: 1 },
  );
  await nginx.stop();
  const letter = ({ status, body }: { status: number; body: string }, at: number) => {
    if (status === 400) return REFUSED;
    const choice = body.split(',')[at]!;
    return choice === '' ? HOLE : Number(choice.slice(1)).toString(36);
  };
  return Object.fromEntries(
    names.map((name, at) => [name, answers.map((answer) => letter(answer, at)).join('')]),
  );
}

function write(file: string, content: object): void {
  const lines = Object.entries(content).map(
    ([key, value]) => `${JSON.stringify(key)}: ${JSON.stringify(value)}`,
  );
  writeFileSync(join(import.meta.dirname, file), `{\n${lines.join(',\n')}\n}\n`);
}

const names = Object.keys(SPLITS);
const ofToken = names.filter((name) => onlyToken(SPLITS[name]!));
const tokens = [...randomTokens(TOKENS, pseudoRandom()), ...tokensAtBounds()];
const requests = [...ODD_REQUESTS, ...FRAGMENT_REQUESTS];

write('tokens.json', {
  nginx: NGINX_VERSION,
  tokens: tokens.join(' '),
  choices: await record(ofToken, tokens.map(requestOf)),
});
write('requests.json', { nginx: NGINX_VERSION, requests, choices: await record(names, requests) });
