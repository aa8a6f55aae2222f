// Who may ask a location of an nginx.conf: `deny`, `allow` and `limit_except` become routes that answer 403. Rules are
// looked at after `return` and `rewrite`, and before anything is passed on.
// Sources: nginx's ngx_http_access_module.c, ngx_http_core_limit_except in ngx_http_core_module.c.

import { showGot } from '../problem.ts';
import type { Conditions } from './branches.ts';
import { ownDirectives, type Scope } from './directives.ts';
import type { TranslationReport } from './report.ts';
import type { Directive } from './syntax.ts';

const ADDRESS_EXPECTED =
  'all; addresses are not looked up here: limit them before the splitter, by a network policy or a firewall';

/** True if the rules that apply refuse every client. */
export function isRefused(scope: Scope, report: TranslationReport): boolean {
  return isDenied(innermostRules(scope), report);
}

/**
 * The conditions of the requests that `limit_except` of a location refuses, one list for each; none for no such directive.
 * nginx changes to the configuration of that block before it runs what else is in the location.
 */
export function limitedMethods(scope: Scope, report: TranslationReport): readonly Conditions[] {
  return ownDirectives(scope, 'limit_except').flatMap(({ name, words, block }) => {
    const methods = words.map(({ text }) => text.toUpperCase());
    for (const inner of block ?? []) if (!RULE.test(inner.name.text)) report.unknown(inner, 'limit_except');
    if (
      methods.length === 0 ||
      !methods.every((one) => /^[A-Z]+$/.test(one)) ||
      !isDenied(block ?? [], report)
    ) {
      const got = showGot(words.map(({ text }) => text).join(' '));
      report.fail(name, 'limit_except', 'methods like GET POST, and a block with deny all', got);
      return [];
    }
    // nginx lets HEAD pass where GET does.
    const all = methods.includes('GET') ? [...methods, 'HEAD'] : methods;
    return [[{ of: '$request_method', matchesNot: `^(?:${[...new Set(all)].join('|')})$` }]];
  });
}

const RULE = /^(?:allow|deny)$/;

/** The rules of each block, found when its first location asks: thousands of locations may ask for those of one block. */
const rulesOf = new WeakMap<readonly Directive[], readonly Directive[]>();

function ownRules(directives: readonly Directive[]): readonly Directive[] {
  let known = rulesOf.get(directives);
  if (known === undefined) {
    known = directives.filter(({ name }) => RULE.test(name.text));
    rulesOf.set(directives, known);
  }
  return known;
}

/** The rules of the innermost block that has any: its own replace those of the blocks around it. */
function innermostRules(scope: Scope): readonly Directive[] {
  for (let level: Scope | null = scope; level !== null; level = level.parent) {
    const own = ownRules(level.directives);
    if (own.length > 0) return own;
  }
  return [];
}

/** The first rule that applies counts; without one a request is allowed, so rules that only allow change nothing. */
function isDenied(rules: readonly Directive[], report: TranslationReport): boolean {
  if (rules.every(({ name }) => name.text !== 'deny')) {
    if (rules.length > 0) report.ignore('allow');
    return false;
  }
  for (const { name, words } of rules) {
    if (!RULE.test(name.text)) continue;
    const [word] = words;
    if (words.length === 1 && word?.text === 'all') return name.text === 'deny';
    report.fail(word ?? name, name.text, ADDRESS_EXPECTED, showGot(words.map(({ text }) => text).join(' ')));
    return false;
  }
  return false;
}
