// Checks splits: names, shares and weights that make no split, overrides that cannot be, and, once everything is valid,
// variants that take nothing and minted cookies that do not come back.

import { checkKey } from '../../key/compile.ts';
import { variablesOf } from '../../key/key-text.ts';
import type { CheckReport, Expected } from '../findings.ts';
import type { RouteOptions } from '../options/route.ts';
import { parseShare, SHARE_EXPECTED } from '../options/share.ts';
import { isSecret, SECRET_EXPECTED, type SplitConfig } from '../options/split.ts';
import { type Path, showGot } from '../problem.ts';
import { isMap, mapOf, type RawMap } from '../raw.ts';
import type { ReadSecret } from '../secrets.ts';
import { reportKeyFault } from './keys.ts';

/** What a check of overrides needs in addition to the document. */
export interface SecretContext {
  readonly report: CheckReport;
  readonly readSecret: ReadSecret;
  /** Gets the secrets of overrides that are elsewhere, by the name of the split. */
  readonly secrets: Map<string, string>;
}

/** Names, and shares or weights, of the variants of a split. */
export function checkVariants(path: Path, split: RawMap, report: CheckReport): void {
  if (!Array.isArray(split.variants) || split.variants.length === 0) return;
  const variants = split.variants.map(mapOf);
  const list: Path = [...path, 'variants'];
  checkNames(list, variants, report);
  const weighted = variants.filter((variant) => variant.weight !== undefined).length;
  const shared = variants.filter((variant) => variant.share !== undefined).length;
  if (weighted > 0 && shared > 0) {
    const odd = variants.findIndex(
      (variant) => variant[weighted <= shared ? 'weight' : 'share'] !== undefined,
    );
    const counts = `${shared} with share and ${weighted} with weight`;
    report.problem([...list, odd], 'share for all variants of a split, or weight for all of them', counts);
  } else if (weighted === 0 && shared === 0 && split.choose !== undefined) return;
  else if (weighted > 0) checkWeights(list, variants, report);
  else checkShares(list, variants, split.method === undefined || split.method === 'ranges', report);
}

function checkNames(list: Path, variants: readonly RawMap[], report: CheckReport): void {
  const seen = new Set<unknown>();
  for (const [index, { name }] of variants.entries()) {
    if (typeof name === 'string' && seen.has(name)) {
      report.problem([...list, index, 'name'], 'each name once in a split', `${showGot(name)} again`);
    }
    seen.add(name);
  }
}

function checkWeights(list: Path, variants: readonly RawMap[], report: CheckReport): void {
  let sum = 0;
  for (const [index, { weight }] of variants.entries()) {
    if (weight === undefined)
      report.problem([...list, index], 'a weight, as the other variants have', 'nothing');
    else if (typeof weight === 'number') sum += weight;
    else return;
  }
  if (sum === 0) report.problem(list, 'at least one weight above 0', 'only zeros');
}

function checkShares(list: Path, variants: readonly RawMap[], ordered: boolean, report: CheckReport): void {
  let sum = 0;
  let readable = true;
  const rests: number[] = [];
  for (const [index, { share }] of variants.entries()) {
    const value = typeof share === 'string' ? parseShare(share) : undefined;
    if (share === undefined) report.problem([...list, index], `share, ${SHARE_EXPECTED}`, 'nothing');
    if (value === null) rests.push(index);
    else if (value !== undefined) sum += value;
    else readable = false;
  }
  for (const again of rests.slice(1)) {
    report.problem([...list, again, 'share'], 'a single variant that takes the rest', '"*" again');
  }
  const rest = rests[0];
  if (ordered && rests.length === 1 && rest !== variants.length - 1) {
    const expected =
      'the variant that takes the rest as the last one, because ranges follow the order of the list';
    report.problem([...list, rest!, 'share'], expected, `"*" at ${rest! + 1} of ${variants.length}`);
  }
  const total = `${sum / 100}%`;
  if (sum > 10_000) report.problem(list, 'shares of at most 100% together', total);
  else if (readable && sum < 10_000 && rest === undefined) {
    report.problem(list, 'shares of 100% together, or a last variant with share "*"', total);
  }
}

/** The text that chooses a variant, and what it cannot stand beside. */
export function checkChoose(path: Path, split: RawMap, report: CheckReport): void {
  const { choose, key, missingKey } = split;
  if (typeof choose !== 'string' || choose === '') return;
  const at: Path = [...path, 'choose'];
  const fault = checkKey(choose, report.scope);
  if (fault !== null) return reportKeyFault(at, choose, fault, report);
  if (variablesOf(choose).length === 0)
    report.problem(at, 'a text with variables like "$v"', showGot(choose));
  if (missingKey === 'random' || [key].flat().some(isMap)) {
    const expected =
      'no choose beside missingKey: random, remember and mint, which chance or an answer decides';
    report.problem(at, expected, showGot(choose));
  }
}

/** Who may choose a variant, by what, and with which secret. */
export function checkOverride(path: Path, name: string, split: RawMap, context: SecretContext): void {
  if (!isMap(split.override)) return;
  const { override } = split;
  const { report } = context;
  const at: Path = [...path, 'override'];
  if (override.header === undefined && override.cookie === undefined && override.query === undefined) {
    report.problem(at, 'at least one of header, cookie and query', 'none of them');
  }
  if (Array.isArray(override.variants) && Array.isArray(split.variants)) {
    const names = split.variants.map((variant) => mapOf(variant).name);
    const known = new Set(names.filter((one) => typeof one === 'string'));
    for (const [index, variant] of override.variants.entries()) {
      if (typeof variant !== 'string' || known.has(variant)) continue;
      const expected: Expected = (guess) => `the name of a variant of this split${guess(variant, known)}`;
      report.problem([...at, 'variants', index], expected, showGot(variant));
    }
  }
  const given = ['secret', 'secretVariable', 'secretFile'].filter((key) => override[key] !== undefined);
  if (given.length > 1) {
    report.problem([...at, given[1]!], 'one secret, in one place', given.join(' and '));
    return;
  }
  const { secretVariable, secretFile } = override;
  if (typeof secretVariable === 'string')
    takeSecret(name, [...at, 'secretVariable'], { variable: secretVariable }, context);
  if (typeof secretFile === 'string') takeSecret(name, [...at, 'secretFile'], { file: secretFile }, context);
}

/** A secret from elsewhere. What it says is in no message. */
function takeSecret(
  split: string,
  path: Path,
  from: Parameters<ReadSecret>[0],
  { report, readSecret, secrets }: SecretContext,
): void {
  const secret = readSecret(from);
  if (typeof secret === 'string' && isSecret(secret)) secrets.set(split, secret);
  else if (typeof secret !== 'string')
    report.problem(path, `${SECRET_EXPECTED}, in ${from.file ?? from.variable}`, secret.got);
  else {
    const got = `${secret.length} characters of other kinds`;
    report.problem(path, `${SECRET_EXPECTED}, in ${from.file ?? from.variable}`, got);
  }
}

/** Variants without effect: shares that do not make a split, and an override that names one twice. */
export function checkSharesOfVariants(
  path: Path,
  split: SplitConfig,
  raw: RawMap,
  report: CheckReport,
): void {
  const { variants, override } = split;
  const list: Path = [...path, 'variants'];
  const given = variants.reduce((sum, { share }) => sum + (share ?? 0), 0);
  const rest = variants.findIndex(({ share }) => share === null);
  const isRestEmpty = rest >= 0 && given === 10_000;
  if (isRestEmpty) {
    report.warn([...list, rest, 'share'], 'gets nothing, because the other shares add up to 100 %');
  }
  const owners = variants.filter(({ share, weight }) =>
    weight === undefined ? (share === null ? !isRestEmpty : (share ?? 0) > 0) : weight > 0,
  );
  if (owners.length === 1 && variants.length > 1) {
    const how = override === undefined ? '' : ' except by override';
    report.note(list, `every key goes to ${owners[0]!.name}; the other variants get nothing${how}`);
  }
  const [first] = variants;
  const isOnePlace = variants.every(({ upstream }) => upstream === first!.upstream);
  if (variants.length > 1 && isOnePlace && first!.upstream !== '') {
    report.note(list, `all variants lead to ${first!.upstream}: an A/A test`);
  }
  const asked: unknown = mapOf(raw.override).variants;
  if (!Array.isArray(asked)) return;
  for (const [index, name] of asked.entries()) {
    if (asked.indexOf(name) < index && index < 100) {
      report.warn([...path, 'override', 'variants', index], `names ${showGot(name)} again`);
    }
  }
}

/** A minted cookie that the browser does not send back to all of the split's routes. */
export function checkMintPath(
  path: Path,
  { key }: SplitConfig,
  own: readonly RouteOptions[],
  report: CheckReport,
): void {
  const entries = Array.isArray(key) ? key : [key];
  for (const [index, entry] of entries.entries()) {
    if (typeof entry !== 'object' || !('mint' in entry) || entry.path === '/') continue;
    const within = (route: string) =>
      route === entry.path || route.startsWith(entry.path.replace(/\/?$/, '/'));
    if (own.length > 0 && own.every((route) => within(route.path))) continue;
    const at: Path = [...path, 'key', index, 'path'];
    report.warn(at, `keeps the cookie from requests outside ${entry.path}: there each one gets another key`);
  }
}
