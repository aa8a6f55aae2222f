// Checks the texts of a route that go to the client: its fixed answer and the fields that it adds to responses.
// What they become is in routing/fixed-answer and routing/response-fields.

import { checkKey } from '../../key/compile.ts';
import type { CheckReport } from '../findings.ts';
import { type Path, showGot } from '../problem.ts';
import { isMap, mapOf, type RawMap } from '../raw.ts';
import { reportKeyFault } from './keys.ts';

/** What a route answers itself, and what it adds to responses. */
export function checkAnswer(path: Path, route: RawMap, report: CheckReport): void {
  if (isMap(route.respond)) checkRespond([...path, 'respond'], route.respond, report);
  for (const [name, given] of Object.entries(mapOf(route.setResponseHeaders))) {
    const at: Path = [...path, 'setResponseHeaders', name];
    for (const [index, one] of [given].flat().entries()) {
      const place: Path = Array.isArray(given) ? [...at, index] : at;
      if (isMap(one)) checkText([...place, 'value'], one.value, report);
      else checkText(place, one, report);
    }
  }
}

function checkRespond(path: Path, respond: RawMap, report: CheckReport): void {
  for (const option of ['body', 'location', 'locationBase'])
    checkText([...path, option], respond[option], report);
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

function checkText(path: Path, text: unknown, report: CheckReport): void {
  if (typeof text !== 'string') return;
  const fault = checkKey(text, report.scope);
  if (fault !== null) reportKeyFault(path, text, fault, report);
}
