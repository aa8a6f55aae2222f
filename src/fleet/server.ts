// The port of a fleet: the page, /status, /status.csv, /history and /metrics of all pods together, read-only as the admin port
// of a pod and with its limits. It asks the pods at intervals, not when it is asked, so that its clients cost them nothing.

import { hostname } from 'node:os';
import { ALIVE, CSV_TYPE, inCoding, JSON_TYPE, pageFile, pathOf, refusalOf } from '../admin/answers.ts';
import { History } from '../admin/history.ts';
import { jsonPieces } from '../admin/json-pieces.ts';
import { AdminListener, type Endpoints } from '../admin/listener.ts';
import { type Pieces, RenderCredit, render, SharedRendering } from '../admin/rendering.ts';
import { type AdminRequest, type Answer, text } from '../admin/request.ts';
import { csvPieces } from '../admin/status-csv.ts';
import type { ListenAddress } from '../config/listen-address.ts';
import { type FleetName, findAddresses } from './addresses.ts';
import { AlarmFile } from './alarm-file.ts';
import { askPods } from './ask.ts';
import { askGuards } from './ask-guards.ts';
import { FleetGuards } from './guards.ts';
import { fleetMetrics } from './metrics.ts';
import { describeFleet, fleetSplits } from './status.ts';
import { FleetView } from './view.ts';

const FLEET_ENDPOINTS = `request-splitter, a fleet (read-only)

/            the page
/healthz     200 while the process lives
/readyz      200 when a pod has answered, else 503
/metrics     Prometheus text format
/status      JSON: splits and pods
/status.csv  the variants as a table
/guards      JSON: what the guards of ?process=ID have to do
/history     JSON: the last 15 minutes, /history?since=MS what came after a Unix time
`;

/** A fleet that is asked again and again. The command that watches or serves it owns it. */
export class Fleet {
  readonly view = new FleetView();
  readonly guards = new FleetGuards();
  readonly name: string;
  readonly history: History;
  problems: readonly string[] = [];
  /** When the pods were last asked; null before the first time. */
  askedAt: Date | null = null;
  readonly #targets: readonly FleetName[];
  readonly #alarmFile: AlarmFile | null;

  /** @param stateFile where alarms outlive the process; null = nowhere */
  constructor(name: string, targets: readonly FleetName[], stateFile: string | null = null) {
    this.name = name;
    this.#alarmFile = stateFile === null ? null : new AlarmFile(stateFile);
    this.#targets = targets;
    this.history = new History(this.view, Date.now(), performance.now());
  }

  /** Asks every pod once. Never rejects. */
  async ask(): Promise<void> {
    const { addresses, problems } = await findAddresses(this.#targets);
    const asked = await askPods(addresses);
    const isFirst = this.askedAt === null;
    if (isFirst && this.#alarmFile !== null) this.view.restore(await this.#alarmFile.read());
    this.askedAt = new Date();
    const hasOtherBuckets = this.view.take(asked);
    // What was counted before the first question is in no interval, and no interval has two kinds of buckets.
    if (isFirst || hasOtherBuckets) this.history.begin(performance.now());
    else this.history.take(Date.now(), performance.now());
    const unread = this.#alarmFile?.problem ?? null;
    await this.#alarmFile?.write(this.view.alarms);
    const problem = this.#alarmFile?.problem ?? (isFirst ? unread : null);
    this.problems = problem === null ? problems : [...problems, problem];
  }

  /** Asks every pod once for its guards, and judges. Never rejects. True if there are guards. */
  async askGuards(): Promise<boolean> {
    const { addresses } = await findAddresses(this.#targets);
    const answers = await askGuards(addresses);
    this.guards.take(answers);
    return answers.some(({ reports }) => reports.length > 0);
  }

  describe() {
    return describeFleet(this.view, this.name, this.problems, this.askedAt);
  }
}

/** Opens the port of a fleet; the address with its real port. Rejects with the error of listen(). */
export async function serveFleet(
  fleet: Fleet,
  address: ListenAddress,
): Promise<{ readonly address: string; close(): Promise<void> }> {
  const listener = new AdminListener(() => new FleetEndpoints(fleet));
  return { address: await listener.listen(address), close: () => listener.close() };
}

/** What is answered to whom. */
class FleetEndpoints implements Endpoints {
  readonly #fleet: Fleet;
  readonly #ownName = hostname();
  readonly #credit = new RenderCredit(performance.now());
  readonly #status: SharedRendering;
  readonly #csv: SharedRendering;
  readonly #metrics: SharedRendering;
  readonly #wholeHistory: SharedRendering;
  #metricsType = '';

  constructor(fleet: Fleet) {
    this.#fleet = fleet;
    const shared = (begin: () => Pieces | Promise<Pieces>) => new SharedRendering(this.#credit, begin);
    this.#status = shared(() => jsonPieces(fleet.describe()));
    this.#csv = shared(() => csvPieces(fleetSplits(fleet.view)));
    this.#metrics = shared(async () => {
      const { type, text } = await fleetMetrics(fleet.view, fleet.guards);
      this.#metricsType = type;
      return [text];
    });
    this.#wholeHistory = shared(() => jsonPieces(fleet.history.describe(0)));
  }

  isProbe({ target }: AdminRequest): boolean {
    const path = pathOf(target);
    return path === '/healthz' || path === '/readyz';
  }

  answer(request: AdminRequest): Answer | Promise<Answer> {
    const refused = refusalOf(request, this.#ownName);
    if (refused !== null) return refused;
    const { target, acceptsGzip } = request;
    const path = pathOf(target);
    const query = target.slice(path.length + 1);
    switch (path) {
      case '/healthz':
        return ALIVE;
      case '/readyz':
        return this.#readiness();
      case '/status':
        return this.#shared(this.#status, acceptsGzip, () => JSON_TYPE);
      case '/status.csv':
        return this.#shared(this.#csv, acceptsGzip, () => CSV_TYPE);
      case '/metrics':
        return this.#shared(this.#metrics, acceptsGzip, () => this.#metricsType);
      case '/guards': {
        const process = /(?:^|&)process=([\w.:-]+)/.exec(query)?.[1] ?? '';
        const guards = this.#fleet.guards.orders(process);
        return { ...text(200, `${JSON.stringify({ version: 1, guards })}\n`), type: JSON_TYPE };
      }
      case '/history':
        return this.#answerHistory(Number(/(?:^|&)since=(\d+)/.exec(query)?.[1] ?? 0), acceptsGzip);
      default:
        return this.#answerFile(path, acceptsGzip);
    }
  }

  #readiness(): Answer {
    const { askedAt, view } = this.#fleet;
    if (askedAt === null) return text(503, 'not ready: the pods have not been asked yet\n');
    const silent = view.pods.filter(({ problem }) => problem !== null);
    if (silent.length === view.pods.length) return text(503, 'not ready: no pod answers\n');
    return text(
      200,
      `ready\n${silent.map(({ address, problem }) => `pod ${address}: ${problem}\n`).join('')}`,
    );
  }

  async #shared(shared: SharedRendering, acceptsGzip: boolean, type: () => string): Promise<Answer> {
    const body = await shared.get();
    return inCoding({ status: 200, type: type(), body }, acceptsGzip);
  }

  async #answerHistory(sinceMs: number, acceptsGzip: boolean): Promise<Answer> {
    const { history } = this.#fleet;
    const first = history.firstAfter(sinceMs);
    if (first === 0 || sinceMs === 0) return this.#shared(this.#wholeHistory, acceptsGzip, () => JSON_TYPE);
    const body = await render(jsonPieces(history.describe(first)), this.#credit);
    return inCoding({ status: 200, type: JSON_TYPE, body: body.hold() }, acceptsGzip);
  }

  async #answerFile(path: string, acceptsGzip: boolean): Promise<Answer> {
    return (await pageFile(path, acceptsGzip)) ?? text(404, `there is no ${path} here\n\n${FLEET_ENDPOINTS}`);
  }
}
