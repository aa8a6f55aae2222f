// A stand-in for an exchange: it has a name, records the calls that it gets, and sends nothing.
import type { FaultCode } from '../../src/errors.ts';
import { LibraryView } from '../../src/split/request.ts';
import type { AttemptFacts, PooledConnection, UpstreamExchange } from '../../src/transport/contracts.ts';

export class FakeExchange implements UpstreamExchange {
  readonly name: string;
  /** The codes with which it could not be sent. */
  readonly failures: FaultCode[] = [];
  /** Until when it was made to wait, each time. */
  readonly waits: number[] = [];
  head = new LibraryView({ url: '/' });
  keyHash = -1;
  isHead = false;
  passesUpgrade = false;
  isPipelinable = false;
  mayFallBack = false;
  isRequestSent = true;
  waitsForClient = false;
  clientBytes = 0;
  readonly attempts: AttemptFacts = { connects: 0, reconnectUntil: 0, isRetry: false, failedAddresses: [] };

  constructor(name = '') {
    this.name = name;
  }

  ageMs(now: number): number {
    return now;
  }
  wait(deadline: number): void {
    this.waits.push(deadline);
  }
  connecting(): void {}
  start(): void {}
  unreachable(code: FaultCode): void {
    this.failures.push(code);
  }
  answerMoves(): void {}
  onAnswerDeadline(): void {}
  upstreamBlocked(): void {}
  upstreamDrained(): void {}
  receiveInterim(): void {}
  receiveResponseHead(): void {}
  receiveResponseBody(): void {}
  receiveResponseTrailers(): void {}
  finishResponse(): void {}
  awaitsSwitchTo(): boolean {
    return false;
  }
  switchProtocols(): void {}
  upstreamLost(_connection: PooledConnection, code: FaultCode): void {
    this.failures.push(code);
  }
  fail(code: FaultCode): void {
    this.failures.push(code);
  }
}
