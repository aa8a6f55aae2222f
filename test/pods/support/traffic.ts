// Requests as a caller sends them, one after the other, in several lanes at once, for as long as a test looks. Each
// lane either opens a connection for each request, as a curl loop does, or keeps its own.
import { setTimeout } from 'node:timers/promises';
import { Agent, request } from 'undici';

export interface Answer {
  readonly token: string;
  /** 0 where there was no response; `error` then says why. */
  readonly status: number;
  readonly body: string;
  readonly fault: string;
  readonly error: string;
  readonly at: number;
}

/** One request; never rejects. Its time limit is far above what any answer takes. */
export async function ask(url: string, token: string, agent: Agent, host = 'shop.example'): Promise<Answer> {
  const at = performance.now();
  try {
    const { statusCode, headers, body } = await request(`${url}/?token=${token}`, {
      dispatcher: agent,
      headers: { host },
    });
    const text = await body.text();
    return {
      token,
      status: statusCode,
      body: text.trim(),
      fault: String(headers['x-splitter-error'] ?? ''),
      error: '',
      at,
    };
  } catch (cause) {
    return { token, status: 0, body: '', fault: '', error: String(cause), at };
  }
}

/** As a curl loop: a connection for each request. */
export const eachItsOwn = (): Agent =>
  new Agent({ pipelining: 0, headersTimeout: 30_000, bodyTimeout: 30_000 });
/** As a server with a pool: connections are kept. */
export const kept = (): Agent =>
  new Agent({ headersTimeout: 30_000, bodyTimeout: 30_000, keepAliveTimeout: 60_000 });

/** The answers for these tokens, each asked for once, a few at a time. */
export async function askAll(
  url: string,
  tokens: readonly string[],
  agent = eachItsOwn(),
): Promise<Answer[]> {
  const answers: Answer[] = [];
  const left = [...tokens];
  const lane = async () => {
    for (let token = left.shift(); token !== undefined; token = left.shift())
      answers.push(await ask(url, token, agent));
  };
  await Promise.all(Array.from({ length: 8 }, lane));
  await agent.close();
  return tokens.map((token) => answers.find((answer) => answer.token === token)!);
}

/** A lane's pause after each answer: traffic that takes all of a small machine only makes the pods come and go slowly. */
const PAUSE_MS = 5;

/** Traffic in the background, until `stop` gives what it got. Tokens come round again and again. */
export class Traffic {
  readonly answers: Answer[] = [];
  readonly #lanes: Promise<void>[];
  readonly #agent: Agent;
  #going = true;

  constructor(url: string, tokens: readonly string[], agent = eachItsOwn(), lanes = 4) {
    this.#agent = agent;
    this.#lanes = Array.from({ length: lanes }, async (_none, lane) => {
      for (let at = lane; this.#going; at += lanes) {
        this.answers.push(await ask(url, tokens[at % tokens.length]!, agent));
        await setTimeout(PAUSE_MS);
      }
    });
  }

  /** Resolves once `isEnough` holds for an answer that came after this call. */
  async until(isEnough: (answer: Answer) => boolean, limitMs = 60_000): Promise<void> {
    const from = this.answers.length;
    const end = performance.now() + limitMs;
    while (!this.answers.slice(from).some(isEnough)) {
      if (performance.now() > end)
        throw new Error(`not seen within ${limitMs} ms among ${this.answers.length - from} answers`);
      await setTimeout(20);
    }
  }

  async stop(): Promise<Answer[]> {
    this.#going = false;
    await Promise.all(this.#lanes);
    await this.#agent.close();
    return this.answers;
  }
}
