// Checks what makes an experiment of a split: names that it refers to, conditions, and steps, shares and guards that
// cannot be. The places in layers are checked in layers.ts.

import { checkKey } from '../../key/compile.ts';
import { variablesOf } from '../../key/key-text.ts';
import type { CheckReport, Expected, Written } from '../findings.ts';
import { formatInstant } from '../options/experiment.ts';
import type { SplitConfig } from '../options/split.ts';
import { type Path, showGot } from '../problem.ts';
import { isMap, mapOf, type RawMap } from '../raw.ts';
import { reportKeyFault } from './keys.ts';

/** Names and conditions of a split, as they were written. */
export function checkExperiment(path: Path, split: RawMap, raw: RawMap, report: CheckReport): void {
  const names = (Array.isArray(split.variants) ? split.variants : []).map((one) => mapOf(one).name);
  const variants = names.filter((name) => typeof name === 'string');
  checkVariantName([...path, 'control'], split.control, variants, report);
  const { against } = mapOf(split.guard);
  if (against !== 'control') checkVariantName([...path, 'guard', 'against'], against, variants, report);
  if (isMap(split.when)) checkCondition([...path, 'when'], split.when, report);
  const { layer, slot } = split;
  if (layer === undefined) {
    if (slot !== undefined) report.problem([...path, 'slot'], 'slot only together with layer', showGot(slot));
    return;
  }
  if (typeof layer === 'string' && !Object.hasOwn(mapOf(raw.layers), layer)) {
    const known = Object.keys(mapOf(raw.layers));
    const expected: Expected = (guess) =>
      `the name of an entry in layers${known.length === 0 ? ', but there are none' : guess(layer, known)}`;
    report.problem([...path, 'layer'], expected, showGot(layer));
  }
  if (slot === undefined) report.problem(path, 'a slot like 0%-30%, because the split is in a layer', 'none');
  if (split.key !== undefined) {
    const expected = `no key, because the key of layer ${showGot(layer)} is that of its splits`;
    report.problem([...path, 'key'], expected, showGot(split.key));
  }
}

function checkVariantName(path: Path, name: unknown, known: readonly string[], report: CheckReport): void {
  if (typeof name !== 'string' || known.length === 0 || known.includes(name)) return;
  report.problem(path, (guess) => `the name of a variant of this split${guess(name, known)}`, showGot(name));
}

/** The texts that a condition looks at, as they were written. */
export function textsOfCondition(when: unknown): unknown[] {
  const own = mapOf(when);
  const below = [own.not, own.all, own.any].flat().filter((one) => isMap(one));
  return [own.variable, ...below.flatMap(textsOfCondition)];
}

const FORMS = ['all', 'any', 'not', 'variable'] as const;
const TESTS = ['is', 'prefix', 'in', 'present'] as const;

function checkCondition(path: Path, when: RawMap, report: CheckReport): void {
  const forms = FORMS.filter((form) => when[form] !== undefined);
  const tests = TESTS.filter((test) => when[test] !== undefined);
  const { variable } = when;
  if (forms.length !== 1) {
    report.problem(path, `one of ${FORMS.join(', ')}`, forms.length === 0 ? 'none' : forms.join(' and '));
  } else if (variable === undefined && tests.length > 0) {
    report.problem([...path, tests[0]!], `no ${tests[0]} without variable`, showGot(when[tests[0]!]));
  } else if (variable !== undefined && tests.length !== 1) {
    const got = tests.length === 0 ? 'none' : tests.join(' and ');
    report.problem(path, `one of ${TESTS.join(', ')} with variable`, got);
  }
  if (typeof variable === 'string' && variable !== '') {
    const fault = checkKey(variable, report.scope);
    if (fault !== null) reportKeyFault([...path, 'variable'], variable, fault, report);
    else if (variablesOf(variable).length === 0) {
      report.problem([...path, 'variable'], 'a variable like $http_x_plan', showGot(variable));
    }
  }
  if (isMap(when.not)) checkCondition([...path, 'not'], when.not, report);
  for (const form of ['all', 'any'] as const) {
    for (const [index, one] of (Array.isArray(when[form]) ? when[form] : []).entries()) {
      if (isMap(one)) checkCondition([...path, form, index], one, report);
    }
  }
}

/** What the options of an experiment say against each other. */
export function checkExperimentValues({ document }: Written, report: CheckReport): void {
  for (const [name, split] of Object.entries(document.splits)) {
    const path: Path = ['splits', name];
    const { coverage, shareSteps = [] } = split;
    if (typeof coverage === 'object')
      checkTimesInOrder([...path, 'coverage', 'steps'], coverage.steps, report);
    checkTimesInOrder([...path, 'shareSteps'], shareSteps, report);
    for (const [index, { to }] of shareSteps.entries())
      checkSteppedShares([...path, 'shareSteps', index, 'to'], to, split, report);
    if (split.guard !== undefined) checkGuard([...path, 'guard'], split, report);
  }
}

function checkTimesInOrder(path: Path, steps: readonly { readonly at: number }[], report: CheckReport): void {
  for (const [index, { at }] of steps.entries()) {
    const before = steps[index - 1];
    if (before === undefined || at > before.at) continue;
    report.problem(
      [...path, index, 'at'],
      `a time after ${formatInstant(before.at)}`,
      showGot(formatInstant(at)),
    );
  }
}

function checkSteppedShares(
  path: Path,
  to: Readonly<Record<string, number | null>>,
  { variants, method }: SplitConfig,
  report: CheckReport,
): void {
  const names = variants.map(({ name }) => name);
  for (const name of Object.keys(to)) {
    if (names.includes(name)) continue;
    report.problem(
      [...path, name],
      (guess) => `the name of a variant of this split${guess(name, names)}`,
      showGot(name),
      'key',
    );
    return;
  }
  const absent = names.filter((name) => !Object.hasOwn(to, name));
  if (absent.length > 0) {
    report.problem(path, 'a share for every variant', `none for ${absent.join(', ')}`);
    return;
  }
  const shares: (number | null)[] = names.map((name) => to[name]!);
  const sum = shares.reduce<number>((total, share) => total + (share ?? 0), 0);
  const rests = shares.filter((share) => share === null).length;
  if (rests > 1) report.problem(path, 'a single variant that takes the rest', '"*" again');
  else if (rests === 1 && method === 'ranges' && shares.at(-1) !== null) {
    const expected =
      'the last variant as the one that takes the rest, because ranges follow the order of the list';
    report.problem(path, expected, `"*" for ${names[shares.indexOf(null)]}`);
  }
  if (sum > 10_000 || (sum < 10_000 && rests === 0))
    report.problem(path, 'shares of 100% together', `${sum / 100}%`);
}

function checkGuard(path: Path, split: SplitConfig, report: CheckReport): void {
  const { variants, guard, control } = split;
  if (variants.length === 1) {
    report.problem(path, 'a guard only in a split with two variants or more', '1 variant');
    return;
  }
  const named = guard!.against === 'control' ? control : guard!.against;
  const against =
    variants.find(({ name }) => name === named) ??
    variants.find(({ share }) => share === null) ??
    variants.at(-1)!;
  const rest = variants.reduce((sum, { share }) => sum + (share ?? 0), 0);
  const isEmpty =
    against.weight === undefined
      ? against.share === null
        ? rest === 10_000
        : against.share === 0
      : against.weight === 0;
  if (!isEmpty || split.shareSteps !== undefined) return;
  const expected = 'a variant with a share, because the keys of the others are compared with its keys';
  report.problem([...path, 'against'], expected, `${against.name}, which has none`);
}

/** What a valid experiment says without effect. */
export function checkExperimentEffects(path: Path, split: SplitConfig, report: CheckReport): void {
  const { coverage, missingKey, guard } = split;
  if (coverage === 0) report.note([...path, 'coverage'], 'is 0%: every request gets the control');
  const isPart = coverage !== undefined && coverage !== 10_000;
  if (isPart && (missingKey === 'first' || missingKey === 'random')) {
    const sentence = `is ${missingKey}: requests without a key may get any variant, whatever coverage is`;
    report.warn([...path, 'missingKey'], sentence);
  }
  if (guard !== undefined && guard.stateFile === undefined) {
    report.note([...path, 'guard'], 'has no stateFile: after a restart it has to find out again');
  }
}
