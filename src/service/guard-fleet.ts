// Asks the fleet that judges the guards of this process what they have to do, every two seconds and never on the way of a
// request. While the fleet is silent, or has not counted this process, the guards judge on their own; that is said once.

import type { Logger } from 'pino';
import type { FleetOrder } from '../telemetry/guard-report.ts';
import { readGuardStop } from '../telemetry/guard-stop.ts';
import { FLEET_SILENT_MS, type Guards } from '../telemetry/guards.ts';
import { processId } from '../telemetry/process-id.ts';

const ASK_MS = 2000;
/** From the connect to the last byte of the answer. */
const ORDERS_MS = 2000;
const ORDERS_BYTES_MAX = 1024 * 1024;

/** The data plane, as far as its fleets are concerned. */
export interface FollowingPlane {
  readonly guards: Guards;
  readonly experiments: { obeyFleet(url: string, orders: readonly FleetOrder[]): void };
}

/** What is known of one fleet. */
interface Followed {
  /** Last time that it answered and had counted this process, by performance.now(). */
  goodAt: number;
  isSilent: boolean;
}

/** Follows the fleets of all guards, also those that a reload brings. The service owns one, from its start to its end. */
export class GuardFleet {
  readonly #plane: FollowingPlane;
  readonly #log: Logger;
  readonly #askMs: number;
  readonly #silentMs: number;
  readonly #followed = new Map<string, Followed>();
  #timer: NodeJS.Timeout | undefined;
  #isAsking = false;

  constructor(plane: FollowingPlane, log: Logger, askMs = ASK_MS, silentMs = FLEET_SILENT_MS) {
    this.#plane = plane;
    this.#log = log;
    this.#askMs = askMs;
    this.#silentMs = silentMs;
  }

  start(): void {
    this.#timer = setInterval(() => void this.ask(), this.#askMs);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Asks every fleet once. Never rejects. */
  async ask(): Promise<void> {
    if (this.#isAsking) return;
    this.#isAsking = true;
    const { fleets } = this.#plane.guards;
    for (const url of this.#followed.keys()) if (!fleets.includes(url)) this.#followed.delete(url);
    await Promise.all(fleets.map((url) => this.#askOne(url)));
    this.#isAsking = false;
  }

  async #askOne(url: string): Promise<void> {
    let problem: string | null;
    try {
      const orders = await ordersOf(url);
      this.#plane.experiments.obeyFleet(url, orders);
      problem = orders.some(({ isCounted }) => isCounted)
        ? null
        : 'it has not counted this process: are its pods among the names that the fleet asks?';
    } catch (cause) {
      const { message, code = '' } = cause as NodeJS.ErrnoException;
      problem = message === '' ? code : message;
    }
    this.#note(url, problem);
  }

  #note(url: string, problem: string | null): void {
    const now = performance.now();
    const followed = this.#followed.get(url) ?? { goodAt: now, isSilent: false };
    this.#followed.set(url, followed);
    if (problem === null) {
      if (followed.isSilent) this.#log.info({ fleet: url }, 'fleet judges the guards again');
      followed.goodAt = now;
      followed.isSilent = false;
    } else if (!followed.isSilent && now - followed.goodAt >= this.#silentMs) {
      followed.isSilent = true;
      this.#log.error({ fleet: url, cause: problem }, 'fleet is silent: guards judge this process alone');
    }
  }
}

/** Rejects when there is no answer of the right form in time. */
async function ordersOf(url: string): Promise<FleetOrder[]> {
  const { request } = await import('undici');
  const target = `${url}/guards?process=${processId()}`;
  const { statusCode, body } = await request(target, { signal: AbortSignal.timeout(ORDERS_MS) });
  const chunks: Buffer[] = [];
  let byteCount = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    byteCount += chunk.length;
    if (byteCount > ORDERS_BYTES_MAX) throw new Error(`its answer is larger than ${ORDERS_BYTES_MAX} bytes`);
    chunks.push(chunk);
  }
  const text = Buffer.concat(chunks).toString();
  if (statusCode === 404) throw new Error('it has no /guards: an older version');
  if (statusCode !== 200) throw new Error(`it answered ${statusCode}: ${text.slice(0, 200).trim()}`);
  const { version, guards } = JSON.parse(text);
  if (version !== 1 || !Array.isArray(guards)) throw new Error('its answer has another version');
  return guards.map(readOrder);
}

function readOrder(order: Readonly<Record<keyof FleetOrder, unknown>>): FleetOrder {
  const { split, options, shareSteps, windows, window, slowMs, endedAtMs, isCounted } = order;
  const counts = [shareSteps, windows, window].every((count) => Number.isSafeInteger(count));
  if (typeof split !== 'string' || typeof options !== 'string' || !counts)
    throw new Error('its answer holds what is no order');
  return {
    split,
    options,
    shareSteps: Number(shareSteps),
    windows: Math.max(1, Number(windows)),
    window: Number(window),
    slowMs: typeof slowMs === 'number' ? slowMs : null,
    endedAtMs: typeof endedAtMs === 'number' ? endedAtMs : null,
    stop: readGuardStop(order.stop),
    isCounted: isCounted === true,
  };
}
