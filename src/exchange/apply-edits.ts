// Applies what a destination edits in the messages of one exchange: once for each, so that a request that is sent again
// has the same ids, and its answer the same cookie.

import type { RequestHead } from '../http1/request-head.ts';
import type { Edits } from '../routing/edits.ts';
import type { Outcome } from './outcome.ts';
import type { RequestRelay } from './request-relay.ts';
import type { ResponseRelay } from './response-relay.ts';

/** Edits the request and its response, after the decision. */
export function applyEdits(
  edits: Edits,
  head: RequestHead,
  outcome: Outcome,
  request: RequestRelay,
  response: ResponseRelay,
): void {
  const { extras, reason } = outcome;
  const requestId = edits.makeRequestId(head);
  outcome.requestId = requestId;
  request.edit = edits.ofRequest(head, extras, requestId);
  response.drop(edits.droppedFromResponse);
  response.add(edits.linesOfResponse(extras, reason));
}
