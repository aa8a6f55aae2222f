// Applies what a destination edits in the messages of one exchange: once for each, so that a request that is sent again
// has the same ids, and its answer the same cookie.

import type { RequestEdit } from '../http1/forward-request.ts';
import type { RequestHead } from '../http1/request-head.ts';
import type { Edits } from '../routing/edits.ts';
import type { Destination, RoutedSplit } from '../routing/generation.ts';
import type { PathRewrite } from '../routing/path-rewrite.ts';
import type { Outcome } from './outcome.ts';
import type { RequestRelay } from './request-relay.ts';
import type { ResponseRelay } from './response-relay.ts';

const NO_EDIT: RequestEdit = {
  droppedFields: [],
  target: null,
  cookie: null,
  addedLines: '',
  requestId: null,
  view: null,
};

/** Edits the request and its response, after the decision; `rewrite` changes the path of what is left of the request. */
export function applyEdits(
  edits: Edits | null,
  rewrite: PathRewrite | null,
  head: RequestHead,
  outcome: Outcome,
  request: RequestRelay,
  response: ResponseRelay,
): void {
  let edit = NO_EDIT;
  if (edits !== null) {
    const { extras, reason } = outcome;
    const requestId = edits.makeRequestId(head);
    outcome.requestId = requestId;
    edit = edits.ofRequest(head, extras, requestId);
    response.drop(edits.droppedFromResponse);
    response.add(edits.linesOfResponse(extras, reason));
  }
  const target = rewrite === null ? null : rewrite.targetFor(edit.view ?? head);
  request.edit = target === null ? edit : { ...edit, target };
}

/** The destination of the variant that the splitter decides for; null where it refuses the request. */
export function decide(routed: RoutedSplit, head: RequestHead, outcome: Outcome): Destination | null {
  const decision = routed.splitter.decide(head);
  const { variant } = decision;
  if (variant === null) return null;
  outcome.decided(routed, variant.index, decision);
  return routed.destinations[variant.index]!;
}
