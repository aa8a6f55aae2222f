// `demo`, what `npm start` runs: two embedded echo upstreams, a 50/50 split between them, the admin port, and
// a terminal that says what to try. While traffic runs it prints a line a second, and nothing else. It is the same
// Ambassador and the same admin port as in `serve`, with its own configuration.

import { type InspectColor, styleText } from 'node:util';
import { Command, CommanderError } from 'commander';
import { pino } from 'pino';
import { formatAddress } from '../admin/effective-config.ts';
import { type AdminServer, startAdmin } from '../admin/server.ts';
import { Ambassador, ListenFailure } from '../ambassador.ts';
import { configFromSettings, givenSettings } from '../config/env.ts';
import { formatProblems } from '../config/problem.ts';
import { startEcho } from '../demo/echo.ts';
import { type TrafficCount, trafficLine } from '../demo/traffic.ts';
import { describeListenFailure } from '../service/listen-failure.ts';
import { addConfigOptions, type ConfigFlags } from './options.ts';
import type { Terminal } from './terminal.ts';

const LISTEN = ':8888';
const ADMIN = ':9901';
const UPSTREAMS = ['backend', 'backend-experiment'] as const;

/** The command, ready to be added to the program. */
export function demoCommand(terminal: Terminal): Command {
  const command = new Command('demo')
    .summary('try it with two embedded upstreams, 50/50')
    .description(
      `Starts two upstreams that answer "hello backend" and "hello backend-experiment", and a splitter that forwards to them: requests on ${LISTEN}, admin port on ${ADMIN}. Ctrl-C stops it.`,
    );
  return addConfigOptions(command, ['listen', 'admin']).action(async (flags: ConfigFlags) => {
    const failure = await demo(flags, terminal);
    if (failure === null) return;
    terminal.writeErr(`${failure}\n`);
    throw new CommanderError(1, 'request-splitter.ended', '');
  });
}

/** Runs until a signal ends it. Null when it ended well, else the sentence that says why it did not start. */
async function demo(flags: ConfigFlags, terminal: Terminal): Promise<string | null> {
  const { LISTEN: listen = '', ADMIN: admin = '' } = terminal.environment;
  await using closing = new AsyncDisposableStack();
  const echoes = await Promise.all(UPSTREAMS.map((name) => startEcho(`hello ${name}`)));
  for (const echo of echoes) closing.defer(() => echo.close());

  const outcome = configFromSettings(
    givenSettings(
      {
        listen: flags.listen ?? (listen === '' ? LISTEN : undefined),
        admin: flags.admin ?? (admin === '' ? ADMIN : undefined),
        split: `${UPSTREAMS[0]}=50% ${echoes[0]!.url}; ${UPSTREAMS[1]}=* ${echoes[1]!.url}`,
      },
      { LISTEN: listen, ADMIN: admin },
    ),
  );
  if (outcome.problems !== undefined) return formatProblems(outcome.problems).join('\n');
  // npm takes flags as its own unless "--" comes before them.
  const byNpm = terminal.environment.npm_lifecycle_event === 'start';
  const command = byNpm ? 'npm start --' : 'request-splitter demo';
  const { config } = outcome;

  const ambassador = new Ambassador(config, { log: pino({ level: 'silent' }) });
  const ended = new Promise<void>((resolve) =>
    terminal.onSignal((signal) => {
      if (signal !== 'SIGUSR1') resolve(); // There is no file to reopen.
    }),
  );
  let adminServer: AdminServer | null = null;
  if (config.admin !== null) {
    try {
      adminServer = await startAdmin(ambassador, config.admin);
    } catch (cause) {
      const address = formatAddress(config.admin);
      const failed = { address, port: 'admin', cause: cause as NodeJS.ErrnoException } as const;
      return describeListenFailure(failed, config, command);
    }
    closing.defer(() => adminServer!.close());
  }
  try {
    await ambassador.start();
  } catch (failure) {
    if (!(failure instanceof ListenFailure)) throw failure;
    const { address, cause } = failure;
    const failed = { address, port: 'downstream', cause: cause as NodeJS.ErrnoException } as const;
    return describeListenFailure(failed, config, command);
  }
  closing.defer(() => ambassador.stop());

  terminal.writeOut(whatToTry(ambassador.listening[0]!, adminServer?.address ?? null));
  const [splitter] = ambassador.generation.splitters.values();
  const rows = splitter!.variants.map(({ name, upstream }) =>
    ambassador.counters.variant(splitter!.name, name, upstream),
  );
  const count = (): TrafficCount[] =>
    rows.map((row) => ({
      variant: row.variant,
      requests: row.ended,
      failed: row.failed,
    }));
  let before = count();
  const timer = setInterval(() => {
    const now = count();
    const line = trafficLine(before, now);
    before = now;
    if (line !== null) terminal.writeOut(`${line}\n`);
  }, 1000);
  closing.defer(() => clearInterval(timer));
  await ended;
  terminal.writeOut(`\n${closingLine(count())}\n`);
  return null;
}

/** What the demo did: "82 requests: backend 47, backend-experiment 35". */
function closingLine(counts: readonly TrafficCount[]): string {
  const total = counts.reduce((sum, { requests }) => sum + requests, 0);
  const each = counts.map(({ variant, requests }) => `${variant} ${requests}`).join(', ');
  return `${total} ${total === 1 ? 'request' : 'requests'}: ${each}`;
}

/** Colors only on a terminal that wants them: styleText looks at stdout, NO_COLOR and FORCE_COLOR. */
const paint = (style: InspectColor, text: string) => styleText(style, text);

function whatToTry(splitter: string, admin: string | null): string {
  const curl = splitter.startsWith('unix:') ? `curl --unix-socket ${splitter.slice(5)} ` : 'curl ';
  const base = splitter.startsWith('unix:') ? 'http://localhost' : splitter;
  const lines = [
    '',
    `${paint('bold', 'request-splitter')} gives half of all tokens to "hello backend", half to "hello backend-experiment".`,
    '',
    `  requests    ${splitter}`,
    `  admin port  ${admin ?? 'off'}`,
    '',
    'Try in another terminal:',
    '',
    `  ${paint('cyan', `${curl}"${base}/?token=42"`)}`,
    `  ${paint('cyan', `while :; do ${curl}"${base}/?token=$RANDOM"; done`)}`,
    ...(admin === null || admin.startsWith('unix:')
      ? []
      : [`  ${paint('cyan', `curl "${admin}/explain?url=/?token=42"`)}`]),
    '',
    'Ctrl-C stops it.',
    '',
    '',
  ];
  return lines.join('\n');
}
