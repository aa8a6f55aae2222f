// The answers that a route gives in place of errors (`errorAnswers`), compiled once. It decides which one an error gets, and
// composes no head. Source: ngx_http_special_response_handler in nginx's ngx_http_special_response.c.

import type { RequestView } from '../bytes.ts';
import type { ErrorAnswerOptions } from '../config/options/answer.ts';
import type { TextScope } from '../key/own-variables.ts';
import { type AnswerContent, FixedAnswer } from './fixed-answer.ts';
import { compileResponseFields, type ResponseFields } from './response-fields.ts';

/** A compiled answer in place of errors. */
export interface ErrorAnswer {
  readonly answer: FixedAnswer;
  readonly keepsStatus: boolean;
  readonly takesUpstreams: boolean;
  /** Null for none; undefined for those of the route. */
  readonly fields: ResponseFields | null | undefined;
}

/** The answers in place of errors, by status; the generation owns them. */
export type ErrorAnswers = ReadonlyMap<number, ErrorAnswer>;

/** What a route answers in place of errors; null for nothing. The scopes are those of the request's and the response's texts. */
export function compileErrorAnswers(
  options: ErrorAnswerOptions | undefined,
  scope: TextScope,
  responseScope: TextScope,
): ErrorAnswers | null {
  if (options === undefined || options.length === 0) return null;
  const answers = new Map<number, ErrorAnswer>();
  for (const { statuses, respond, keepStatus, upstreamErrors, setResponseHeaders } of options) {
    const answer: ErrorAnswer = {
      answer: new FixedAnswer(respond, scope),
      keepsStatus: keepStatus,
      takesUpstreams: upstreamErrors,
      fields:
        setResponseHeaders === undefined
          ? undefined
          : compileResponseFields(setResponseHeaders, undefined, responseScope),
    };
    for (const status of statuses) if (!answers.has(status)) answers.set(status, answer);
  }
  return answers;
}

/** What the client gets in place of an error of this status. */
export function contentInPlaceOf(
  status: number,
  { answer, keepsStatus }: ErrorAnswer,
  view: RequestView,
): AnswerContent {
  const content = answer.contentFor(view);
  return keepsStatus ? { ...content, status } : content;
}
