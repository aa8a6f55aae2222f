// Checks what a route asks of a request, and its texts that go to the client: its fixed answer and the fields that it adds
// to responses. What they become is in key/route-match, routing/fixed-answer and routing/response-fields.

import { checkKey } from '../../key/compile.ts';
import type { TextScope } from '../../key/own-variables.ts';
import { Captures, compilePattern } from '../../key/pattern.ts';
import { compileMatch } from '../../key/route-match.ts';
import { withCaptures } from '../../key/value-map.ts';
import type { CheckReport } from '../findings.ts';
import { type Path, showGot } from '../problem.ts';
import { isMap, mapOf, type RawMap } from '../raw.ts';
import { matchSourceOf } from '../scope.ts';
import { reportKeyFault } from './keys.ts';

/** What a route answers itself, and what it adds to responses. */
export function checkAnswer(path: Path, route: RawMap, report: CheckReport): void {
  const match = compileMatch(matchSourceOf(route), report.scope, null);
  if ('faults' in match) {
    for (const { path: at, expected, got, offset } of match.faults)
      report.problem([...path, ...at], expected, got, 'value', offset);
  }
  const scope = 'faults' in match ? report.scope : match.scope;
  if (isMap(route.respond)) checkRespond([...path, 'respond'], route.respond, scope, report);
  checkRewrite([...path, 'rewritePath'], mapOf(route.rewritePath), scope, report);
  if (Array.isArray(route.rewriteLocation)) {
    for (const [index, one] of route.rewriteLocation.entries())
      checkText([...path, 'rewriteLocation', index, 'to'], mapOf(one).to, report.responseScope, report);
  }
  checkFields(path, route, report);
  if (!Array.isArray(route.errorAnswers)) return;
  for (const [index, one] of route.errorAnswers.entries()) {
    const at: Path = [...path, 'errorAnswers', index];
    const { respond } = mapOf(one);
    checkFields(at, mapOf(one), report);
    if (!isMap(respond)) continue;
    checkRespond([...at, 'respond'], respond, scope, report);
    if (respond.status === 444 || respond.status === 204 || respond.status === 304)
      report.problem(
        [...at, 'respond', 'status'],
        'a status whose answer has a body',
        showGot(respond.status),
      );
  }
}

function checkFields(path: Path, holder: RawMap, report: CheckReport): void {
  for (const [name, given] of Object.entries(mapOf(holder.setResponseHeaders))) {
    const at: Path = [...path, 'setResponseHeaders', name];
    for (const [index, one] of [given].flat().entries()) {
      const place: Path = Array.isArray(given) ? [...at, index] : at;
      const text: unknown = isMap(one) ? one.value : one;
      checkText(isMap(one) ? [...place, 'value'] : place, text, report.responseScope, report);
    }
  }
}

function checkRewrite(path: Path, { target, rules }: RawMap, scope: TextScope, report: CheckReport): void {
  checkText([...path, 'target'], target, scope, report);
  if (!Array.isArray(rules)) return;
  for (const [index, rule] of rules.entries()) {
    const { pattern: text, with: replacement } = mapOf(rule);
    if (typeof text !== 'string') continue;
    const pattern = compilePattern(text.replace(/^~\*?/, ''), text.startsWith('~*'));
    const at: Path = [...path, 'rules', index];
    if ('expected' in pattern) report.problem([...at, 'pattern'], pattern.expected, pattern.got);
    else checkText([...at, 'with'], replacement, withCaptures(scope, pattern, new Captures()), report);
  }
}

function checkRespond(path: Path, respond: RawMap, scope: TextScope, report: CheckReport): void {
  for (const option of ['body', 'location', 'locationBase'])
    checkText([...path, option], respond[option], scope, report);
  const { status, body, location } = respond;
  const isRedirect = status === 201 || (typeof status === 'number' && status >= 300 && status < 400);
  if (location !== undefined && !isRedirect)
    report.problem(
      [...path, 'location'],
      'a location only with status 201 or 3xx',
      `status ${showGot(status)}`,
    );
  const isBare = status === 204 || status === 304 || status === 444;
  if (body !== undefined && isBare)
    report.problem([...path, 'body'], `no body with status ${String(status)}`, 'a body');
}

function checkText(path: Path, text: unknown, scope: TextScope, report: CheckReport): void {
  if (typeof text !== 'string') return;
  const fault = checkKey(text, scope);
  if (fault !== null) reportKeyFault(path, text, fault, report);
}
