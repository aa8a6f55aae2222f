// Which requests a browser sends by itself before one that a page asked for: CORS preflights. They carry neither cookies nor
// the fields that identify a user, so they are no user of their own. Source: Fetch Standard, "CORS-preflight fetch".

import type { RequestView } from '../bytes.ts';

const PREFLIGHT_METHOD = Buffer.from('OPTIONS');

/** Whether this request is a CORS preflight: OPTIONS with Origin and Access-Control-Request-Method. */
export function isPreflight(view: RequestView): boolean {
  const { bytes, methodStart, methodEnd } = view;
  if (methodEnd - methodStart !== PREFLIGHT_METHOD.length) return false;
  for (let index = 0; index < PREFLIGHT_METHOD.length; index += 1) {
    if (bytes[methodStart + index] !== PREFLIGHT_METHOD[index]) return false;
  }
  return (
    view.fieldValues('origin').length > 0 && view.fieldValues('access-control-request-method').length > 0
  );
}
