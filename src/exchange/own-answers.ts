// What the splitter answers in place of a response: a fault's text, a fixed answer, or what the route has for an error. It
// writes nothing to the client. Source: nginx's ngx_http_special_response.c.

import { type Cause, FAULTS, type FaultCode } from '../errors.ts';
import type { RequestHead } from '../http1/request-head.ts';
import type { ResponseHead } from '../http1/response-head.ts';
import type { AnswerContent } from '../routing/fixed-answer.ts';
import type { AnswerFrame, Client } from '../transport/contracts.ts';
import type { Outcome } from './outcome.ts';
import { composeAnswer, composeFault, isLastAnswer } from './own-answer.ts';
import type { ResponseRelay } from './response-relay.ts';

/** Makes the answers of one exchange, which owns it, as they go on the wire, and says in the outcome which status they have. */
export class OwnAnswers {
  readonly #head: RequestHead;
  readonly #response: ResponseRelay;
  readonly #outcome: Outcome;

  constructor(head: RequestHead, response: ResponseRelay, outcome: Outcome) {
    this.#head = head;
    this.#response = response;
    this.#outcome = outcome;
  }

  /**
   * The route's answer in place of an error, by which the exchange is judged all the same; null for nothing. `head` is the
   * upstream's where the error is its own.
   */
  inPlaceOf(status: number, head: ResponseHead | null): AnswerContent | null {
    const content = this.#response.replaceError(this.#head, status, head);
    if (content !== null) this.#outcome.replacedStatus = status;
    return content;
  }

  /** The answer to a request that failed. */
  toFault(code: FaultCode, cause: Cause | null, frame: AnswerFrame): string {
    const { status } = FAULTS[code];
    const content = this.inPlaceOf(status, null);
    this.#outcome.status = content?.status ?? status;
    this.#response.completeFields(this.#head, this.#outcome.status, null, this.#outcome);
    return composeFault(code, cause, this.#response.addedLines, frame, content);
  }

  /** An answer that is no failure here, and how it was framed. `keepAlive`: as far as the request goes. */
  toRequest(
    given: AnswerContent,
    client: Client<unknown>,
    keepAlive: boolean,
    now: number,
  ): { readonly text: string; readonly persists: boolean } {
    const content = (given.body === null ? this.inPlaceOf(given.status, null) : null) ?? given;
    const frame = client.answerFrame(keepAlive && !isLastAnswer(given) && !isLastAnswer(content), now);
    this.#outcome.status = content.status;
    this.#response.completeFields(this.#head, content.status, null, this.#outcome);
    return { text: composeAnswer(content, this.#response.addedLines, frame), persists: frame.persists };
  }
}
