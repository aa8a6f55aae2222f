// Decides where a request that a Node server received goes, and what it becomes on the way: path, fields, and the edits of
// its answer. The request may come through a router that cut its mount path off the target.

import type { IncomingMessage } from 'node:http';
import { LibraryView } from '../split/request.ts';
import type { DecisionExtras, Splitter } from '../split/splitter.ts';
import type { AgentUpstream } from './agent-upstream.ts';
import type { HandlerContext } from './context.ts';
import { type AnswerEdit, fieldsOfLines, requestFields } from './fields.ts';
import type { CountedExchange } from './guard.ts';

/** One request as its upstream gets it, and the edits of the answer. */
export interface RequestPlan extends AnswerEdit {
  readonly upstream: AgentUpstream;
  /** What counts its end; null without a guard, and for a request that is no part of the sample. */
  readonly counted: CountedExchange | null;
  /** Path and query, without an override that the splitter removed. */
  readonly path: string;
  /** Fields without framing, names and values in turn. */
  readonly fields: readonly string[];
}

/** Null when the request has no key and such requests are rejected. */
export function planRequest(context: HandlerContext, request: IncomingMessage): RequestPlan | null {
  const { config, splitter, edits, upstreams, guard } = context;
  // A router may have cut its mount path off the forwarded target; the key is that of the whole target, as in nginx.
  const { originalUrl } = request as { readonly originalUrl?: string };
  const view = new LibraryView(request, request.url);
  const whole = originalUrl === undefined || originalUrl === request.url ? view : new LibraryView(request);
  const decision = splitter.decide(whole);
  const { variant, reason, extras } = decision;
  if (variant === null) return null;
  const upstream = upstreams.get(variant.upstream)!;
  const own = edits[variant.index]!;
  const edit =
    own?.ofRequest(view, forForwarded(splitter, view, whole, extras), own.makeRequestId(view)) ?? null;
  return {
    upstream,
    counted: guard?.begin(decision, whole, splitter.isRandom) ?? null,
    path: edit?.target ? Buffer.from(edit.target).toString('latin1') : view.target,
    fields: requestFields(config, upstream, edit, view, request),
    dropped: own?.droppedFromResponse ?? [],
    added: own === null ? [] : fieldsOfLines(own.linesOfResponse(extras, reason)),
  };
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
