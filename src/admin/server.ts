// The admin port: read-only, GET and HEAD only, nothing on it changes anything.
//   /         the page and its files            /metrics  Prometheus text    /history  the last 15 minutes, JSON version 1
//   /healthz  200 while the process lives       /status   numbers and state, JSON version 1
//   /readyz   200 ready, 503 and what is not    /config   effective configuration, secrets removed, JSON version 1
//   /explain?url=/x?token=42  why a request goes where it goes, JSON version 1      /status.csv  the variants as a table
// Who may ask is decided in host-check.ts. It knows no sockets of the data plane.

import { hostname } from 'node:os';
import type { ListenAddress } from '../config/listen-address.ts';
import { createMetrics, OPEN_METRICS_TYPE } from '../telemetry/prometheus.ts';
import {
  type AdminFacts,
  type LogLoss,
  NO_STORE,
  NOTHING_DROPPED,
  ReloadStatus,
  type Running,
  type StoreFacts,
} from '../telemetry/running.ts';
import { ALIVE, CSV_TYPE, inCoding, JSON_TYPE, pageFile, pathOf, refusalOf } from './answers.ts';
import { describeConfig } from './effective-config.ts';
import { explainQuery } from './explain.ts';
import { guardPieces } from './guard-reading.ts';
import { HISTORY_INTERVAL_MS, History } from './history.ts';
import { jsonPieces } from './json-pieces.ts';
import { AdminListener, type Endpoints } from './listener.ts';
import { podPieces } from './pod-reading.ts';
import { type Pieces, RenderCredit, render, SharedRendering } from './rendering.ts';
import { type AdminRequest, type Answer, text } from './request.ts';
import { describeStatus, splitsOneByOne } from './status.ts';
import { csvPieces } from './status-csv.ts';

/** Spaces a level in JSON that people read; the larger answers are compact. */
const INDENT = 2;

const ENDPOINTS = `request-splitter, admin port (read-only)

/          the page
/healthz   200 while the process lives
/readyz    200 when requests are served, else 503 and what is not ready
/metrics   Prometheus text format, or OpenMetrics where it is accepted
/status    JSON: state, splits, variants, upstreams
           /status?registers adds the registers behind the unique keys
/status.csv
           the variants as a table
/samples   JSON: everything that was counted, for request-splitter fleet
/guards    JSON: what guards with a fleet have counted, for request-splitter fleet
/history   JSON: the last 15 minutes, /history?since=MS what came after a Unix time
/config    JSON: the effective configuration
/explain?url=/x?token=42
           JSON: why this request goes to its variant; before url= there may be
           split=NAME  method=GET  host=NAME  address=IP  header=NAME:VALUE (repeated)
`;

/** A listening admin port. */
export interface AdminServer {
  /** With its real port, "http://localhost:9901", or "unix:/run/admin.sock". */
  readonly address: string;
  /** Answers no more and closes every connection. */
  close(): Promise<void>;
}

/**
 * Opens the admin port of a running splitter, which may still be starting: /readyz then says so.
 * Rejects with the error of listen() (EADDRINUSE, EACCES, EADDRNOTAVAIL).
 */
export async function startAdmin(
  running: Running,
  address: ListenAddress,
  reloads: ReloadStatus = new ReloadStatus(),
  log: LogLoss = NOTHING_DROPPED,
  store: StoreFacts = NO_STORE,
): Promise<AdminServer> {
  const history = new History(running, Date.now(), performance.now());
  const listener = new AdminListener(
    (facts) => new AdminEndpoints(running, reloads, log, history, facts, store),
  );
  const listening = await listener.listen(address);
  const timer = setInterval(() => history.take(Date.now(), performance.now()), HISTORY_INTERVAL_MS).unref();
  return {
    address: listening,
    close: () => {
      clearInterval(timer);
      return listener.close();
    },
  };
}

/** What is answered to whom. */
class AdminEndpoints implements Endpoints {
  readonly #running: Running;
  readonly #reloads: ReloadStatus;
  readonly #history: History;
  readonly #ownName = hostname();
  readonly #credit = new RenderCredit(performance.now());
  readonly #metricsType: string;
  readonly #metrics: SharedRendering;
  readonly #openMetrics: SharedRendering;
  readonly #status: SharedRendering;
  readonly #registers: SharedRendering;
  readonly #csv: SharedRendering;
  readonly #samples: SharedRendering;
  readonly #guards: SharedRendering;
  readonly #config: SharedRendering;
  readonly #wholeHistory: SharedRendering;

  constructor(
    running: Running,
    reloads: ReloadStatus,
    log: LogLoss,
    history: History,
    admin: AdminFacts,
    store: StoreFacts,
  ) {
    this.#running = running;
    this.#reloads = reloads;
    this.#history = history;
    const metrics = createMetrics(running, reloads, log, admin, store);
    this.#metricsType = metrics.contentType;
    const shared = (begin: () => Pieces | Promise<Pieces>) => new SharedRendering(this.#credit, begin);
    const sharedMetrics = (isOpenMetrics: boolean) =>
      shared(async () => {
        await this.#ready();
        return metrics.pieces(isOpenMetrics);
      });
    this.#metrics = sharedMetrics(false);
    this.#openMetrics = sharedMetrics(true);
    this.#status = shared(() => this.#statusPieces(false));
    this.#registers = shared(() => this.#statusPieces(true));
    this.#csv = shared(async () => {
      await this.#ready();
      return csvPieces(splitsOneByOne(running));
    });
    this.#samples = shared(async () => {
      await running.workers?.refresh();
      return podPieces(running, reloads, store.adopted);
    });
    this.#guards = shared(() => guardPieces(running));
    this.#config = shared(() => this.#configPieces());
    this.#wholeHistory = shared(() => jsonPieces(history.describe(0)));
  }

  /** Answered before anything else, whatever the load. */
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
        return readiness(this.#running);
      case '/metrics':
        if (request.acceptsOpenMetrics)
          return this.#shared(this.#openMetrics, acceptsGzip, OPEN_METRICS_TYPE);
        return this.#shared(this.#metrics, acceptsGzip, this.#metricsType);
      case '/status':
        // Registers look random, so compressing them costs much and gains little.
        if (query === 'registers') return this.#shared(this.#registers, false);
        return this.#shared(this.#status, acceptsGzip);
      case '/status.csv':
        return this.#shared(this.#csv, acceptsGzip, CSV_TYPE);
      case '/samples':
        // Compressed already.
        return this.#shared(this.#samples, false);
      case '/guards':
        return this.#shared(this.#guards, false);
      case '/config':
        return this.#shared(this.#config, acceptsGzip);
      case '/explain': {
        const explained = explainQuery(this.#running, query);
        if ('problem' in explained) return text(400, `${explained.problem}\n`);
        return { ...text(200, `${JSON.stringify(explained, null, INDENT)}\n`), type: JSON_TYPE };
      }
      case '/history':
        return this.#answerHistory(Number(/(?:^|&)since=(\d+)/.exec(query)?.[1] ?? 0), acceptsGzip);
      default:
        return this.#answerFile(path, acceptsGzip);
    }
  }

  async #shared(shared: SharedRendering, acceptsGzip: boolean, type = JSON_TYPE): Promise<Answer> {
    return inCoding({ status: 200, type, body: await shared.get() }, acceptsGzip);
  }

  async #answerHistory(sinceMs: number, acceptsGzip: boolean): Promise<Answer> {
    const first = this.#history.firstAfter(sinceMs);
    if (first === 0 || sinceMs === 0) return this.#shared(this.#wholeHistory, acceptsGzip);
    const body = await render(jsonPieces(this.#history.describe(first)), this.#credit);
    return inCoding({ status: 200, type: JSON_TYPE, body: body.hold() }, acceptsGzip);
  }

  async #answerFile(path: string, acceptsGzip: boolean): Promise<Answer> {
    return (await pageFile(path, acceptsGzip)) ?? text(404, `there is no ${path} here\n\n${ENDPOINTS}`);
  }

  /** The numbers of workers are those of now, and every sample has a verdict. */
  async #ready(): Promise<void> {
    await this.#running.workers?.refresh();
    await this.#history.judged();
  }

  async #statusPieces(withRegisters: boolean): Promise<Iterable<string>> {
    await this.#ready();
    return jsonPieces(describeStatus(this.#running, this.#reloads, withRegisters));
  }

  #configPieces(): Iterable<string> {
    const { number, config } = this.#running.generation;
    const described = describeConfig(config);
    return jsonPieces({ version: 1, generation: number, hash: config.hash, config: described }, INDENT);
  }
}

/** An upstream in trouble does not make the splitter unready: its other variants are served, and nobody else could do better. */
function readiness({ state, generation, workers }: Running): Answer {
  switch (state) {
    case 'serving': {
      const troubles = Array.from(generation.upstreams.values(), ({ name, trouble }) =>
        trouble === null ? '' : `upstream ${name}: ${trouble}\n`,
      );
      const absent = (workers?.list ?? []).filter((worker) => worker.state !== 'serving');
      const without = absent.map((worker) => `worker ${worker.number}: ${worker.state}\n`);
      return text(200, `ready\n${troubles.join('')}${without.join('')}`);
    }
    case 'starting':
      return text(503, 'not ready: starting, no address listens yet\n');
    case 'draining':
      return text(
        503,
        'not ready: draining; open exchanges are finished, and new connections should go elsewhere\n',
      );
    case 'stopped':
      return text(503, 'not ready: stopped\n');
    default:
      return state satisfies never;
  }
}
