// A real Prometheus on a free port that scrapes one address every second, for as long as a test runs.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const PROGRAM = '/usr/bin/prometheus';

/** Why tests with it are skipped; undefined where it is installed. */
export const prometheusMissing: string | undefined = existsSync(PROGRAM)
  ? undefined
  : `${PROGRAM} is not installed (Debian package prometheus)`;

/** One line of an answer. */
export interface Series {
  readonly metric: Record<string, string>;
  readonly value: number;
}

export class Prometheus {
  readonly #folder: string;
  readonly #process: ChildProcess;
  readonly #origin: string;

  private constructor(folder: string, process: ChildProcess, origin: string) {
    this.#folder = folder;
    this.#process = process;
    this.#origin = origin;
  }

  /** Starts it. @param target "127.0.0.1:9901" */
  static async scraping(target: string): Promise<Prometheus> {
    const folder = mkdtempSync(join(tmpdir(), 'prometheus-'));
    const file = join(folder, 'prometheus.yml');
    writeFileSync(
      file,
      `global: { scrape_interval: 1s, scrape_timeout: 1s }\nscrape_configs: [{ job_name: splitter, static_configs: [{ targets: ["${target}"] }] }]\n`,
    );
    const child = spawn(
      PROGRAM,
      [
        `--config.file=${file}`,
        `--storage.tsdb.path=${join(folder, 'data')}`,
        '--web.listen-address=127.0.0.1:0',
      ],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    let said = '';
    for await (const line of createInterface({ input: child.stderr! })) {
      said += `${line}\n`;
      const address = /msg="Listening on" address=(\S+)/.exec(line)?.[1];
      if (address === undefined) continue;
      child.stderr!.resume();
      return new Prometheus(folder, child, `http://${address}`);
    }
    rmSync(folder, { recursive: true });
    throw new Error(`Prometheus did not start:\n${said}`);
  }

  /** What it answers to a PromQL query now. Throws what it says of a query that it does not take. */
  async query(promql: string): Promise<Series[]> {
    const response = await fetch(`${this.#origin}/api/v1/query?query=${encodeURIComponent(promql)}`);
    const { status, error, data } = (await response.json()) as {
      status: string;
      error?: string;
      data: { result: { metric: Record<string, string>; value: [number, string] }[] };
    };
    if (status !== 'success') throw new Error(`${promql}: ${error}`);
    return data.result.map(({ metric, value }) => ({ metric, value: Number(value[1]) }));
  }

  async stop(): Promise<void> {
    this.#process.kill('SIGKILL');
    if (this.#process.exitCode === null && this.#process.signalCode === null)
      await once(this.#process, 'exit');
    rmSync(this.#folder, { recursive: true });
  }
}
