// Answers /explain: turns a query into the bytes of a request, reads them with the data plane's own parser and asks the
// Splitter that decides for real traffic, so an explanation cannot differ from what happens. Whatever the data plane would
// refuse is explained as that fault. What was asked is in the answer only, never in a log.

import type { Config } from '../config/options/document.ts';
import { FAULTS, type FaultCode } from '../errors.ts';
import { REFUSED } from '../http1/fields.ts';
import { RequestFraming } from '../http1/framing.ts';
import { RequestHead, requestLimits } from '../http1/request-head.ts';
import type { Explanation, Splitter } from '../split/splitter.ts';
import type { Running, RunningGeneration } from '../telemetry/running.ts';

/** What the asker has to correct, as a sentence. */
interface Refusal {
  readonly problem: string;
}

const USAGE =
  'expected /explain?url=/x?token=42, before url= any of split=NAME method=GET host=NAME address=IP header=NAME:VALUE';

/**
 * Explains the query of /explain, version 1. `url` comes last and is taken as it stands up to the end, so that
 * `url=/x?token=a&b=c` needs no encoding; if it begins with an encoded byte (`url=%2Fx%3Ftoken%3D42`, as forms and
 * curl --data-urlencode send it) it is decoded once and ends at the next "&".
 */
export function explainQuery(running: Running, query: string): Explained | Refusal {
  const asked = readQuery(query);
  return 'problem' in asked ? asked : explainRequest(running.generation, asked);
}

/** What a route changes on the way back. */
interface ResponseChanges {
  readonly responseFields?: { readonly names: readonly string[] } | null;
  readonly errorAnswers?: ReadonlyMap<
    number,
    { readonly answer: { readonly status: number }; readonly keepsStatus: boolean }
  > | null;
}

/** What of a generation decides; a command makes one from a configuration that does not run. */
export type DecidingGeneration = Pick<RunningGeneration, 'number' | 'splitters'> & {
  readonly config: Pick<Config, 'hash' | 'limits'>;
  readonly route: (head: RequestHead) =>
    | (ResponseChanges &
        (
          | { readonly splitter: Splitter }
          | {
              readonly splitter: null;
              readonly destination: { readonly upstream: { readonly name: string } };
            }
          | {
              readonly splitter: null;
              readonly destination: null;
              readonly fixed: { readonly answer: { readonly status: number } };
            }
        ))
    | FaultCode;
};

/** Why a request goes where it goes, version 1. A refused one has `fault`, one without a split no key. */
export interface Explained extends Partial<Omit<Explanation, 'split' | 'variant' | 'position'>> {
  readonly version: 1;
  readonly generation: { readonly number: number; readonly hash: string };
  readonly request: { readonly method: string; readonly url: string; readonly host: string };
  readonly split?: string | null;
  readonly variant?: string | null;
  readonly upstream?: string | null;
  /** The answer that its route gives without an upstream. */
  readonly answer?: { readonly status: number };
  /** Response fields that its route sets or removes. */
  readonly responseFields?: readonly string[];
  /** The statuses that clients get in place of errors, by the error's status. */
  readonly errorAnswers?: Readonly<Record<string, number>>;
  readonly positionPercent?: number;
  readonly shareRatio?: number | null;
  readonly fault?: { readonly code: FaultCode; readonly status: number; readonly sentence: string };
}

/** Explains one request: the same for the admin port and the command line. */
export function explainRequest(deciding: DecidingGeneration, asked: ExplainQuestion): Explained | Refusal {
  const { config, splitters, number, route } = deciding;
  const generation = { number, hash: config.hash };
  const request = { method: asked.method, url: asked.url, host: asked.host };

  const head = parseRequest(asked, config.limits);
  if (typeof head === 'string') return { version: 1, generation, request, ...refusedBy(head) };

  let splitter: Splitter;
  let changes: Pick<Explained, 'responseFields' | 'errorAnswers'> = {};
  if (asked.split === undefined) {
    const target = route(head);
    if (typeof target === 'string') return { version: 1, generation, request, ...refusedBy(target) };
    changes = responseChanges(target);
    if (target.splitter === null) {
      const end =
        target.destination === null
          ? { upstream: null, answer: { status: target.fixed.answer.status } }
          : { upstream: target.destination.upstream.name };
      return { version: 1, generation, request, split: null, variant: null, ...end, ...changes };
    }
    splitter = target.splitter;
  } else {
    const named = splitters.get(asked.split);
    if (named === undefined) {
      const known = [...splitters.keys()].join(', ') || 'none';
      return { problem: `expected split= to name one of: ${known}; got ${JSON.stringify(asked.split)}` };
    }
    splitter = named;
  }

  const { variant, position, ...explanation } = splitter.explain(head);
  return {
    version: 1,
    generation,
    request,
    ...explanation,
    positionPercent: position,
    variant: variant?.name ?? null,
    upstream: variant?.upstream ?? null,
    shareRatio: variant?.share ?? null,
    ...changes,
    ...(variant === null ? refusedBy(splitter.faultWithout) : {}),
  };
}

function responseChanges({
  responseFields,
  errorAnswers,
}: ResponseChanges): Pick<Explained, 'responseFields' | 'errorAnswers'> {
  const names = responseFields?.names ?? [];
  const statuses = Array.from(errorAnswers ?? [], ([status, { answer, keepsStatus }]) => [
    status,
    keepsStatus ? status : answer.status,
  ]);
  return {
    ...(names.length === 0 ? {} : { responseFields: names }),
    ...(statuses.length === 0 ? {} : { errorAnswers: Object.fromEntries(statuses) }),
  };
}

function refusedBy(code: FaultCode): Pick<Explained, 'fault'> {
  const { status, sentence } = FAULTS[code];
  return { fault: { code, status, sentence } };
}

/** A request to be explained. */
export interface ExplainQuestion {
  readonly url: string;
  readonly method: string;
  readonly host: string;
  readonly address: string;
  readonly split: string | undefined;
  /** Field lines without their line ends. */
  readonly headers: readonly string[];
}

function readQuery(query: string): ExplainQuestion | Refusal {
  const parts: [name: string, value: string][] = [];
  let rest = query;
  while (rest !== '') {
    const isRawUrl = rest.startsWith('url=') && !rest.startsWith('url=%');
    const end = isRawUrl ? -1 : rest.indexOf('&');
    const part = end === -1 ? rest : rest.slice(0, end);
    rest = end === -1 ? '' : rest.slice(end + 1);
    const equals = part.indexOf('=');
    const value = part.slice(equals + 1);
    if (equals !== -1) parts.push([part.slice(0, equals), isRawUrl ? value : decodeBytes(value)]);
  }
  const unknown = parts.find(
    ([name]) => !['url', 'split', 'method', 'host', 'address', 'header'].includes(name),
  );
  if (unknown !== undefined) return { problem: `${USAGE}; got ${JSON.stringify(unknown[0])}` };
  const last = (name: string) => parts.findLast(([one]) => one === name)?.[1];
  const url = last('url');
  if (url === undefined) return { problem: `${USAGE}; got no url` };
  // A line end would make two lines of one: the asker would be told of a request that nobody described.
  if (parts.some(([, value]) => /[\r\n]/.test(value)))
    return { problem: `${USAGE}; got a line end in a value` };
  return {
    url,
    method: last('method') ?? 'GET',
    host: last('host') ?? 'localhost',
    address: last('address') ?? '127.0.0.1',
    split: last('split'),
    headers: parts.filter(([name]) => name === 'header').map(([, value]) => value),
  };
}

/** Percent-decoding to bytes, held as latin1 text; a "%" without two hex digits stays. */
function decodeBytes(text: string): string {
  return text.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
}

function parseRequest(asked: ExplainQuestion, limits: Config['limits']): RequestHead | FaultCode {
  const lines = [`${asked.method} ${asked.url} HTTP/1.1`, `Host: ${asked.host}`, ...asked.headers, '', ''];
  const bytes = Buffer.from(lines.join('\r\n'), 'latin1');
  const head = new RequestHead();
  head.limits = requestLimits(limits);
  head.reset();
  const end = head.parse(bytes, 0, bytes.length);
  if (end === REFUSED || end < bytes.length) return head.fault ?? 'BAD_REQUEST_LINE';
  head.remoteAddress = asked.address;
  return new RequestFraming().read(head) ?? head;
}
