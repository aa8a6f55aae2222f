// Decides the variant of a request that a Node server received, and what the splitter changes in its messages.
// The request may come through a router that cut its mount path off the target.

import type { IncomingMessage } from 'node:http';
import type { RequestEdit } from '../http1/forward-request.ts';
import { LibraryView } from '../split/request.ts';
import type { DecisionExtras, Splitter, Variant } from '../split/splitter.ts';
import type { HandlerContext } from './context.ts';
import { type AnswerEdit, fieldsOfLines } from './fields.ts';

/** The variant of one request, and the edits of the request and of its answer. */
export interface HandlerDecision extends AnswerEdit {
  readonly variant: Variant;
  readonly edit: RequestEdit | null;
}

/** Null when the request has no key and such requests are rejected. `view` shows the target that is forwarded. */
export function decide(
  { splitter, edits }: HandlerContext,
  request: IncomingMessage,
  view: LibraryView,
): HandlerDecision | null {
  // A router may have cut its mount path off the forwarded target; the key is that of the whole target, as in nginx.
  const { originalUrl } = request as { readonly originalUrl?: string };
  const whole = originalUrl === undefined || originalUrl === request.url ? view : new LibraryView(request);
  const { variant, reason, extras } = splitter.decide(whole);
  if (variant === null) return null;
  const own = edits[variant.index]!;
  if (own === null) return { variant, edit: null, dropped: [], added: [] };
  const added = fieldsOfLines(own.linesOfResponse(extras, reason));
  const edit = own.ofRequest(view, forForwarded(splitter, view, whole, extras), own.makeRequestId(view));
  return { variant, edit, dropped: own.droppedFromResponse ?? [], added };
}

/** The extras with the override of the forwarded target, which a router may have shortened. */
function forForwarded(
  splitter: Splitter,
  view: LibraryView,
  whole: LibraryView,
  extras: DecisionExtras | null,
): DecisionExtras | null {
  if (whole === view || extras === null || extras.override === null) return extras;
  return { ...extras, override: splitter.decide(view).extras?.override ?? null };
}

/** The target for the upstream: that of the request, without an override that the splitter removed. */
export function pathFor({ edit }: HandlerDecision, view: LibraryView): string {
  return edit?.target ? Buffer.from(edit.target).toString('latin1') : view.target;
}
