// A data plane on a free port with scripted upstreams, for one wire test: everything that it opens is closed
// when the test ends.
import { pino } from 'pino';
import { onTestFinished } from 'vitest';
import { Ambassador, type AmbassadorOptions } from '../../src/ambassador.ts';
import type { Config } from '../../src/config/options/document.ts';
import { parseConfig } from '../../src/config/parse.ts';
import { formatProblems } from '../../src/config/problem.ts';
import { RawClient } from './raw-client.ts';
import { type Script, ScriptedUpstream } from './scripted-upstream.ts';
import { listenOf, listensOn } from './tls-mode.ts';

/** A configuration document as a user writes it. */
export type Document = Record<string, unknown>;

/** The Config of a document, through the same door as a file. */
export function configOf(document: Document): Config {
  const outcome = parseConfig(JSON.stringify(document), 'test.yaml');
  if (outcome.problems !== undefined) throw new Error(formatProblems(outcome.problems).join('\n'));
  return outcome.config;
}

export class RunningSplitter {
  readonly ambassador: Ambassador;
  constructor(ambassador: Ambassador) {
    this.ambassador = ambassador;
  }

  get port(): number {
    return listensOn(this.ambassador.listening[0]!);
  }

  /** A client that is closed when the test ends. */
  async client(): Promise<RawClient> {
    const client = await RawClient.connect(this.port);
    onTestFinished(() => client.close());
    return client;
  }
}

/** Starts a data plane for `document`, on a free port unless the document says otherwise. */
export async function startSplitter(
  document: Document,
  options: Partial<AmbassadorOptions> = {},
): Promise<RunningSplitter> {
  const config = configOf({ listen: listenOf('127.0.0.1:0'), admin: 'off', ...document });
  const ambassador = new Ambassador(config, { log: pino({ level: 'silent' }), ...options });
  await ambassador.start();
  onTestFinished(() => ambassador.stop());
  return new RunningSplitter(ambassador);
}

/** An upstream that is closed when the test ends. */
export async function startUpstream(script?: Script, at?: number | string): Promise<ScriptedUpstream> {
  const upstream = await ScriptedUpstream.listen(script, at);
  onTestFinished(() => upstream.close());
  return upstream;
}

/** One upstream with this script, a splitter that sends everything to it, and a client. */
export async function startLine(script?: Script, more: Document = {}, settings: Document = {}) {
  const upstream = await startUpstream(script);
  const splitter = await startSplitter({
    upstreams: { u: { url: upstream.url, ...settings } },
    routes: [{ upstream: 'u' }],
    ...more,
  });
  const client = await splitter.client();
  return { upstream, splitter, client, ambassador: splitter.ambassador };
}
