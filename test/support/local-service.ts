// A `serve` process that listens on Unix sockets in the test's folder, so that a test needs no log line to
// find it: for tests in which the log cannot be written.
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'undici';
import { type ProgramOptions, ProgramRun } from './program.ts';

export interface Answer {
  readonly status: number;
  readonly text: string;
}

export class LocalService {
  readonly run: ProgramRun;
  readonly #admin: string;
  readonly #listen: string;

  private constructor(run: ProgramRun, folder: string) {
    this.run = run;
    this.#admin = join(folder, 'admin.sock');
    this.#listen = join(folder, 'listen.sock');
  }

  /** Starts with this YAML text and waits until it is ready. Answers are the upstream's. */
  static async start(folder: string, yaml: string, options: ProgramOptions = {}): Promise<LocalService> {
    const config = join(folder, 'splitter.yaml');
    writeFileSync(config, yaml);
    const environment = {
      CONFIG: config,
      LISTEN: `unix:${join(folder, 'listen.sock')}`,
      ADMIN: `unix:${join(folder, 'admin.sock')}`,
    };
    const service = new LocalService(new ProgramRun([], environment, options), folder);
    await service.until(async () => (await service.admin('/readyz')).status === 200);
    return service;
  }

  /** Resolves when this is true; asked again and again, the test's own limit ends it. */
  async until(isTrue: () => Promise<boolean> | boolean): Promise<void> {
    for (;;) {
      if (await Promise.resolve(isTrue()).catch(() => false)) return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  get(path: string): Promise<Answer> {
    return ask(this.#listen, path);
  }

  admin(path: string): Promise<Answer> {
    return ask(this.#admin, path);
  }

  /** Sum of a metric over its lines that contain this text. */
  async metric(name: string, part = ''): Promise<number> {
    const { text } = await this.admin('/metrics');
    return text
      .split('\n')
      .filter((line) => new RegExp(`^${name}[ {]`).test(line) && line.includes(part))
      .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
  }

  async kill(): Promise<void> {
    await this.run.kill();
  }
}

async function ask(socketPath: string, path: string): Promise<Answer> {
  if (!existsSync(socketPath)) throw new Error(`nothing listens on ${socketPath}`);
  const client = new Client('http://localhost', { socketPath });
  try {
    const { statusCode, body } = await client.request({ path, method: 'GET' });
    return { status: statusCode, text: await body.text() };
  } finally {
    await client.destroy();
  }
}
