// The admin port: read-only, GET and HEAD only, nothing on it changes anything.
//   /         the page and its files            /metrics  Prometheus text    /history  the last 15 minutes, JSON version 1
//   /healthz  200 while the process lives       /status   numbers and state, JSON version 1
//   /readyz   200 ready, 503 and what is not    /config   effective configuration, secrets removed, JSON version 1
//   /explain?url=/x?token=42  why a request goes where it goes, JSON version 1
// Who may ask is decided in host-check.ts. It knows no sockets of the data plane.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { hostname } from 'node:os';
import type { ListenAddress } from '../config/schema.ts';
import { createMetrics } from '../telemetry/metrics.ts';
import { type LogLoss, NOTHING_DROPPED, ReloadStatus, type Running } from '../telemetry/running.ts';
import { describeConfig } from './effective-config.ts';
import { explainQuery } from './explain.ts';
import { HISTORY_INTERVAL_MS, History } from './history.ts';
import { isFromOtherSite, isOwnHost } from './host-check.ts';
import { describeStatus } from './status.ts';

const CONNECTIONS_MAX = 200;
const REQUEST_TIMEOUT_MS = 10_000;

const ENDPOINTS = `request-splitter, admin port (read-only)

/          the page
/healthz   200 while the process lives
/readyz    200 when requests are served, else 503 and what is not ready
/metrics   Prometheus text format
/status    JSON: state, splits, variants, upstreams
           /status?registers adds the registers behind the unique keys
/history   JSON: the last 15 minutes, /history?since=MS what came after a Unix time
/config    JSON: the effective configuration
/explain?url=/x?token=42
           JSON: why this request goes to its variant; before url= there may be
           split=NAME  method=GET  host=NAME  address=IP  header=NAME:VALUE (repeated)
`;

// The page's own scripts and styles, and nothing of anybody else's.
const CONTENT_SECURITY_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

const TEXT = 'text/plain; charset=utf-8';
const JSON_TYPE = 'application/json; charset=utf-8';

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

const text = (status: number, body: string): Answer => ({ status, type: TEXT, body });
const json = (status: number, body: unknown): Answer => ({
  status,
  type: JSON_TYPE,
  body: `${JSON.stringify(body, null, 2)}\n`,
});

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
): Promise<AdminServer> {
  const history = new History(running, Date.now());
  const timer = setInterval(() => history.take(Date.now()), HISTORY_INTERVAL_MS).unref();
  const answer = answerer(running, reloads, log, history);
  const server = createServer((request, response) => {
    answer(request)
      .catch((cause: Error) => text(500, `the admin port failed: ${cause.message}\n`))
      .then((ready) => send(request, response, ready));
  });
  server.maxConnections = CONNECTIONS_MAX;
  server.headersTimeout = REQUEST_TIMEOUT_MS;
  server.requestTimeout = REQUEST_TIMEOUT_MS;

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    const { host, port, path } = address;
    // Without a host Node listens on `::`, which takes IPv4 too, and falls back to 0.0.0.0 where there is no IPv6.
    server.listen(path !== null ? { path } : host === null ? { port } : { port, host }, () => {
      server.off('error', reject);
      resolve();
    });
  });

  return {
    address: describeAddress(address, server.address()),
    close: () =>
      new Promise((resolve) => {
        clearInterval(timer);
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function describeAddress(asked: ListenAddress, bound: AddressInfo | string | null): string {
  if (asked.path !== null) return `unix:${asked.path}`;
  const host = asked.host ?? 'localhost';
  const port = typeof bound === 'object' && bound !== null ? bound.port : asked.port;
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

type Page = Readonly<Record<string, Pick<Answer, 'type' | 'body'>>>;

/** The page with its chart is larger than the rest of this room, and in most pods nobody ever opens it. */
async function loadPage(): Promise<Page> {
  const { readPage } = await import('./page/assets.ts');
  return readPage();
}

function answerer(
  running: Running,
  reloads: ReloadStatus,
  log: LogLoss,
  history: History,
): (request: IncomingMessage) => Promise<Answer> {
  const metrics = createMetrics(running, reloads, log);
  let page: Page | undefined;
  const ownName = hostname();

  return async (request) => {
    const { host } = request.headers;
    // HTTP/1.0 has no Host field; browsers have spoken 1.1 for as long as they have had scripts.
    if (!isOwnHost(host, ownName) && !(host === undefined && request.httpVersion === '1.0')) {
      return text(
        403,
        `this port answers to IP addresses, localhost, names without dots, *.svc, *.internal and ${ownName}; got Host ${JSON.stringify(host ?? '')}\n`,
      );
    }
    if (isFromOtherSite(request.headers)) {
      return text(403, 'pages of other origins may not read this port\n');
    }
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      return text(405, `this port is read-only: expected GET or HEAD, got ${request.method}\n`);
    }
    const target = request.url ?? '/';
    const query = target.indexOf('?');
    const path = query === -1 ? target : target.slice(0, query);
    if (path === '/metrics' || path === '/status') await running.workers?.refresh();
    switch (path) {
      case '/healthz':
        return text(200, 'ok\n');
      case '/readyz':
        return readiness(running);
      case '/metrics':
        return { status: 200, type: metrics.contentType, body: await metrics.render() };
      case '/status':
        return json(200, describeStatus(running, reloads, target.endsWith('?registers')));
      case '/config': {
        const { number, config } = running.generation;
        return json(200, {
          version: 1,
          generation: number,
          hash: config.hash,
          config: describeConfig(config),
        });
      }
      case '/explain': {
        const explained = explainQuery(running, query === -1 ? '' : target.slice(query + 1));
        return 'problem' in explained ? text(400, `${explained.problem}\n`) : json(200, explained);
      }
      case '/history':
        return json(
          200,
          history.describe(Number(/(?:^|&)since=(\d+)/.exec(target.slice(query + 1))?.[1] ?? 0)),
        );
      default:
        page ??= await loadPage();
        if (Object.hasOwn(page, path)) return { status: 200, ...page[path]! };
        return text(404, `there is no ${path} here\n\n${ENDPOINTS}`);
    }
  };
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
        'not ready: draining, what runs is finished and new connections should go elsewhere\n',
      );
    case 'stopped':
      return text(503, 'not ready: stopped\n');
    default:
      return state satisfies never;
  }
}

function send(request: IncomingMessage, response: ServerResponse, { status, type, body }: Answer): void {
  response.writeHead(status, {
    'Content-Type': type,
    'Content-Length': Buffer.byteLength(body),
    'Cache-Control': 'no-store',
    'Content-Security-Policy': CONTENT_SECURITY_POLICY,
    'X-Content-Type-Options': 'nosniff',
    'Referrer-Policy': 'no-referrer',
    'Cross-Origin-Resource-Policy': 'same-origin',
    ...(status === 405 ? { Allow: 'GET, HEAD' } : {}),
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}
