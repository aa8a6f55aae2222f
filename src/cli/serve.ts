// `serve`, the default command: loads the configuration, runs the Ambassador and the admin port beside it, and lets
// signals reload, drain or end them. The log goes to stdout, one JSON line an event; what stops the start is one
// sentence on stderr. Knows no sockets and no process: signals and exit codes pass through the Terminal.

import { Command, CommanderError } from 'commander';
import type { Logger } from 'pino';
import { formatAddress } from '../admin/effective-config.ts';
import { type AdminServer, startAdmin } from '../admin/server.ts';
import { Ambassador, ListenFailure } from '../ambassador.ts';
import { formatProblems } from '../config/problem.ts';
import type { Config } from '../config/schema.ts';
import { type LogOutput, openLog } from '../telemetry/log.ts';
import { ReloadStatus } from '../telemetry/running.ts';
import { VERSION } from '../telemetry/version.ts';
import { describeListenFailure } from './listen-failure.ts';
import { addConfigOptions, type ConfigFlags, loadFromFlags } from './options.ts';
import type { Signal, Terminal } from './terminal.ts';

/** The command, ready to be added to the program. */
export function serveCommand(terminal: Terminal): Command {
  const command = new Command('serve')
    .summary('run the splitter (the default command)')
    .description(
      'Takes requests and gives each to the variant that its key belongs to. SIGTERM and SIGQUIT drain, a second one ends at once, SIGINT (Ctrl-C) ends at once, SIGHUP loads the configuration again.',
    );
  return addConfigOptions(command).action(async (flags: ConfigFlags) => {
    const code = await serve(flags, terminal);
    if (code !== 0) throw new CommanderError(code, 'request-splitter.ended', '');
  });
}

/** Runs until a signal ends it; the exit code: 0 drained or ended, 1 did not start or was cut while draining. */
async function serve(flags: ConfigFlags, terminal: Terminal): Promise<number> {
  const loaded = await loadFromFlags(flags, terminal.environment);
  if (loaded.problems !== undefined) {
    for (const line of formatProblems(loaded.problems)) terminal.writeErr(`${line}\n`);
    return 1;
  }
  const output = openLog();
  const service = new Service(loaded.config, output, () => loadFromFlags(flags, terminal.environment));
  terminal.onSignal((signal) => service.signalled(signal));
  const failure = await service.start(loaded.file);
  if (failure !== null) {
    await output.close();
    terminal.writeErr(`request-splitter: ${failure}\n`);
    return 1;
  }
  return service.ended;
}

/** The Ambassador, its admin port, and what signals do to them. */
class Service {
  readonly #ambassador: Ambassador;
  readonly #output: LogOutput;
  readonly #log: Logger;
  readonly #load: () => ReturnType<typeof loadFromFlags>;
  readonly #reloads = new ReloadStatus();
  readonly #ended = Promise.withResolvers<number>();
  #admin: AdminServer | null = null;
  #isEnding = false;

  constructor(config: Config, output: LogOutput, load: () => ReturnType<typeof loadFromFlags>) {
    this.#ambassador = new Ambassador(config, { log: output.log });
    this.#output = output;
    this.#log = output.log;
    this.#load = load;
  }

  /** Resolves with the exit code once everything is closed. */
  get ended(): Promise<number> {
    return this.#ended.promise;
  }

  /** Opens the ports, the admin port first so that probes hear "starting". Null when all is well, else one sentence. */
  async start(file: string | null): Promise<string | null> {
    const { config } = this.#ambassador.generation;
    try {
      this.#admin =
        config.admin === null
          ? null
          : await startAdmin(this.#ambassador, config.admin, this.#reloads, this.#output);
    } catch (cause) {
      return describeListenFailure(formatAddress(config.admin!), 'admin', cause as NodeJS.ErrnoException);
    }
    try {
      await this.#ambassador.start();
    } catch (failure) {
      await this.#admin?.close();
      if (!(failure instanceof ListenFailure)) throw failure;
      return describeListenFailure(failure.address, 'downstream', failure.cause as NodeJS.ErrnoException);
    }
    this.#log.info({ version: VERSION, ...this.#describe(), file }, 'serving');
    return null;
  }

  signalled(signal: Signal): void {
    if (signal === 'SIGHUP') void this.#reload();
    else if (this.#isEnding) void this.#end(signal, 1);
    else if (signal === 'SIGINT') void this.#end(signal, 0);
    else void this.#drain(signal);
  }

  #describe() {
    const { number, config, splitters } = this.#ambassador.generation;
    return {
      listening: this.#ambassador.listening,
      admin: this.#admin?.address ?? 'off',
      generation: number,
      hash: config.hash,
      splits: Object.fromEntries(
        Array.from(splitters, ([name, { variants }]) => [
          name,
          variants.map((variant) => ({
            variant: variant.name,
            share: `${Number((variant.share * 100).toFixed(4))}%`,
            upstream: variant.upstream,
          })),
        ]),
      ),
    };
  }

  async #reload(): Promise<void> {
    const loaded = await this.#load();
    if (loaded.problems !== undefined) {
      const problems = formatProblems(loaded.problems);
      this.#reloads.refused(problems);
      this.#log.error({ problems, hash: this.#ambassador.generation.config.hash }, 'configuration refused');
      return;
    }
    this.#ambassador.reload(loaded.config);
    this.#reloads.accepted();
  }

  async #drain(signal: Signal): Promise<void> {
    this.#isEnding = true;
    this.#log.info({ signal }, 'draining');
    const result = await this.#ambassador.drain();
    await this.#close(result === 'drained' ? 'drained' : 'drain deadline passed', 0);
  }

  async #end(signal: Signal, code: number): Promise<void> {
    this.#isEnding = true;
    this.#log.info({ signal }, 'ending at once');
    await this.#ambassador.stop();
    await this.#close('stopped', code);
  }

  async #close(message: string, code: number): Promise<void> {
    await this.#admin?.close();
    this.#log.info(message);
    await this.#output.close();
    this.#ended.resolve(code);
  }
}
