// The faults of the chaos suite: what is broken, for how long, and which upstream servers there are. Each runs under the
// same load for every proxy; what happened to the requests is the load's to tell.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { Load, type Span, type Tally } from './load.ts';
import { childrenOf, ServerProcess } from './processes.ts';
import { type ProxyName, type ProxyOptions, type RunningProxy, startProxy } from './proxies.ts';

/** How hard a fault is played. */
export interface Intensity {
  /** Honest requests a second. */
  readonly rate: number;
  /** How often the fault comes. */
  readonly times: number;
  /** Between two times, in milliseconds. */
  readonly everyMs: number;
  /** Clients that misbehave. */
  readonly hostile: number;
}

/** What a fault may touch while it is played. */
interface Stage {
  readonly proxy: RunningProxy;
  readonly servers: readonly ServerProcess[];
  readonly intensity: Intensity;
  /** Ends the honest requests before the fault is over. */
  stopLoad(): void;
  /** Breaks something: requests that are open meanwhile may be lost. It is over when the proxy has answered once more. */
  strike(breakIt: () => Promise<unknown>): Promise<void>;
}

export interface Fault {
  readonly name: string;
  /** A heading of the report. */
  readonly title: string;
  /** What is done, one sentence or two. */
  readonly story: string;
  readonly servers: () => Promise<ServerProcess[]>;
  readonly proxy?: Partial<ProxyOptions>;
  /** Proxies to which the fault does not apply, with the reason. */
  readonly without?: Partial<Record<ProxyName, string>>;
  play(stage: Stage): Promise<void>;
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const good = (count: number) => async () =>
  Promise.all(Array.from({ length: count }, () => ServerProcess.start('good')));

const withGood = (other: () => Promise<ServerProcess>) => async () =>
  Promise.all([ServerProcess.start('good'), other()]);

/** Lets the load run against what the servers are. */
const onlyWait = async ({ intensity: { times, everyMs } }: Stage) => pause(times * everyMs);

/** Plays `once` again and again. */
const again = (play: (stage: Stage, time: number) => Promise<void>) => async (stage: Stage) => {
  for (let time = 0; time < stage.intensity.times; time++) {
    await pause(stage.intensity.everyMs);
    await play(stage, time);
  }
  await pause(stage.intensity.everyMs);
};

/** The last server ends and comes back. Where it is the only one, requests are open to loss until it is there again. */
const restartLast = (signal: NodeJS.Signals, gapMs: number) =>
  again(async ({ servers, strike }) => {
    const server = servers.at(-1)!;
    const comeBack = async () => {
      await pause(gapMs);
      await server.start();
    };
    const isOnly = servers.length === 1;
    await strike(async () => {
      await server.stop(signal);
      if (isOnly) await comeBack();
    });
    if (!isOnly) await comeBack();
  });

/** Clients that hold what they can; they go when the fault is over. */
const holding =
  (text: (number: number) => string, manner: (client: Socket) => void) => async (stage: Stage) => {
    const { proxy, intensity } = stage;
    const clients: Socket[] = [];
    for (let i = 0; i < intensity.hostile; i++) {
      const client = connect(proxy.port, '127.0.0.1');
      client.on('error', () => client.destroy());
      clients.push(client);
      await once(client, 'connect');
      client.write(text(i));
      manner(client);
    }
    await pause(intensity.times * intensity.everyMs);
    for (const client of clients) client.destroy();
  };

const HEAD = 'Host: chaos.example\r\n';

export const FAULTS: readonly Fault[] = [
  {
    name: 'one-of-two-killed',
    title: 'One of two servers is killed and comes back',
    story: 'SIGKILL to one of two servers; it starts again after 400 ms.',
    servers: good(2),
    play: restartLast('SIGKILL', 400),
  },
  {
    name: 'one-of-two-stopped',
    title: 'One of two servers shuts down and comes back',
    story: 'SIGTERM to one of two servers, which completes its requests; it starts again after 400 ms.',
    servers: good(2),
    play: restartLast('SIGTERM', 400),
  },
  {
    name: 'only-one-killed',
    title: 'The only server is killed and comes back',
    story: 'SIGKILL to the only server, as with a ClusterIP; it starts again after 400 ms.',
    servers: good(1),
    play: restartLast('SIGKILL', 400),
  },
  {
    name: 'one-of-two-swallows',
    title: 'One of two servers swallows connections',
    story: 'One server completes no handshake: SYNs to it are dropped.',
    servers: withGood(() => ServerProcess.start('hole')),
    play: onlyWait,
  },
  {
    name: 'one-of-two-refuses',
    title: 'One of two servers refuses connections',
    story: 'No process listens on one of the two ports.',
    servers: withGood(() => ServerProcess.absent()),
    play: onlyWait,
  },
  {
    name: 'one-of-two-resets',
    title: 'One of two servers resets every tenth request',
    story:
      'It reads the request and resets the connection. A POST that it has read must not be retried, so some are lost.',
    servers: withGood(() => ServerProcess.start('resets')),
    play: onlyWait,
  },
  {
    name: 'upstream-frozen',
    title: 'The only server freezes',
    story: 'SIGSTOP for 1.5 s, then SIGCONT. Its requests are late; none should be lost.',
    servers: good(1),
    play: again(async ({ servers }) => {
      servers[0]!.signal('SIGSTOP');
      await pause(1500);
      servers[0]!.signal('SIGCONT');
    }),
  },
  {
    name: 'proxy-frozen',
    title: 'The proxy freezes',
    story:
      'SIGSTOP to the proxy and its workers for 1.5 s, as on an overloaded node. No time limit may expire because of it.',
    servers: good(1),
    play: again(async ({ proxy }) => {
      const pids = [proxy.pid, ...childrenOf(proxy.pid)];
      for (const pid of pids) process.kill(pid, 'SIGSTOP');
      await pause(1500);
      for (const pid of pids) process.kill(pid, 'SIGCONT');
    }),
  },
  {
    name: 'reloads',
    title: 'The configuration changes again and again',
    story: 'A changed file and a signal, five times as often as the other faults.',
    servers: good(1),
    play: again(async ({ proxy, intensity }, time) => {
      for (let i = 1; i <= 5; i++) {
        proxy.reload(time * 5 + i);
        await pause(intensity.everyMs / 5);
      }
    }),
  },
  {
    name: 'worker-killed',
    title: 'A worker is killed',
    story: 'Two workers; SIGKILL to one of them. The requests on its connections are lost.',
    servers: good(1),
    proxy: { workers: 2 },
    without: { HAProxy: 'one process with threads' },
    play: again(async ({ proxy, strike }, time) => {
      const workers = childrenOf(proxy.pid);
      const killed = workers[time % workers.length]!;
      await strike(async () => {
        process.kill(killed, 'SIGKILL');
        while (childrenOf(proxy.pid).includes(killed)) await pause(5);
      });
    }),
  },
  {
    name: 'proxy-stopped',
    title: 'The proxy shuts down',
    story:
      'The signal for a graceful shutdown while requests are in flight (SIGTERM, SIGQUIT to nginx, SIGUSR1 to HAProxy); no new requests are sent after it.',
    servers: good(1),
    play: async ({ proxy, intensity, stopLoad }) => {
      await pause(intensity.everyMs);
      stopLoad();
      await proxy.drain();
    },
  },
  {
    name: 'idle-tunnels',
    title: 'Idle WebSockets',
    story: 'Open WebSockets without traffic.',
    servers: good(1),
    play: holding(
      (n) => `GET /ws?token=${n} HTTP/1.1\r\n${HEAD}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
      () => undefined,
    ),
  },
  {
    name: 'stalled-uploads',
    title: 'Uploads that stall',
    story: 'The client sends one of 1,000 bytes.',
    servers: good(1),
    play: holding(
      (n) => `POST /up?token=${n} HTTP/1.1\r\n${HEAD}Content-Length: 1000\r\n\r\nx`,
      () => undefined,
    ),
  },
  {
    name: 'unread-responses',
    title: 'Clients that do not read',
    story: 'The client does not read its response of 30 MB.',
    servers: good(1),
    play: holding(
      (n) => `GET /big?token=${n} HTTP/1.1\r\n${HEAD}\r\n`,
      (client) => void client.pause(),
    ),
  },
  {
    name: 'departed-clients',
    title: 'Clients that leave before the answer',
    story: 'The upstream never answers; the client closes at once.',
    servers: good(1),
    play: holding(
      (n) => `GET /hang?token=${n} HTTP/1.1\r\n${HEAD}\r\n`,
      (client) => void client.end(),
    ),
  },
  {
    name: 'small-chunks',
    title: 'Small chunks',
    story:
      'Four responses of four million one-byte chunks each, read as fast as they arrive. Only the honest requests are counted.',
    servers: good(1),
    play: async ({ proxy, intensity }) => {
      const clients = Array.from({ length: 4 }, () => connect(proxy.port, '127.0.0.1'));
      for (const [n, client] of clients.entries()) {
        client.on('error', () => client.destroy());
        client.resume();
        client.write(`GET /chunks?token=${n} HTTP/1.1\r\n${HEAD}\r\n`);
      }
      await pause(intensity.times * intensity.everyMs);
      for (const client of clients) client.destroy();
    },
  },
  {
    name: 'second-answers',
    title: 'A server that answers twice',
    story:
      'The server answers every twentieth request a second time in the next turn of its event loop. No client may get such a response.',
    servers: async () => [await ServerProcess.start('twice')],
    play: onlyWait,
  },
  {
    name: 'full-log-device',
    title: 'A log device that is full',
    story: 'Every request is logged to /dev/full.',
    servers: good(1),
    proxy: { logsToFullDevice: true },
    without: { HAProxy: 'its log goes to a socket' },
    play: onlyWait,
  },
];

/** Resolves when the proxy has answered a request, in whatever way: what happened before it has read by then. */
const answered = (port: number): Promise<unknown> =>
  fetch(`http://127.0.0.1:${port}/probe`).then(
    (response) => response.text(),
    () => undefined,
  );

/** Plays one fault against one proxy; what happened to the honest requests, and when something was broken. */
export async function play(
  fault: Fault,
  name: ProxyName,
  intensity: Intensity,
  options: Partial<ProxyOptions> = {},
): Promise<Tally & { readonly strikes: readonly Span[] }> {
  const servers = await fault.servers();
  const ports = servers.map(({ port }) => port);
  const proxy = await startProxy(name, { ports, ...fault.proxy, ...options });
  try {
    const load = new Load(proxy.port, intensity.rate);
    let tally: Promise<Tally> | undefined;
    const stopLoad = () => {
      tally ??= load.stop();
    };
    const strikes: Span[] = [];
    const strike = async (breakIt: () => Promise<unknown>) => {
      const from = performance.now();
      await breakIt();
      await answered(proxy.port);
      strikes.push({ from, to: performance.now() });
    };
    const stage: Stage = { proxy, servers, intensity, stopLoad, strike };
    await fault.play(stage);
    stopLoad();
    return { ...(await tally!), strikes };
  } finally {
    await proxy.stop();
    for (const server of servers) await server.stop();
  }
}

/** Throws with the names that there are. */
export const faultNamed = (name: string): Fault => {
  const fault = FAULTS.find((one) => one.name === name);
  if (fault === undefined)
    throw new Error(`no fault ${name}; there are ${FAULTS.map((one) => one.name).join(', ')}`);
  return fault;
};
