// proxy_next_upstream with its conditions, tries and time, as `retry` of an upstream: never another variant, only another
// server of the same upstream block. Source: nginx's ngx_http_upstream.c, ngx_http_upstream_next.

import { RETRY_CONDITIONS } from '../options/upstream.ts';
import { showGot } from '../problem.ts';
import { inheritedDirective, type Scope } from './directives.ts';
import type { TranslationReport } from './report.ts';

/** What a location says of it; `attempts` and so on are made where the upstream is known. */
export interface NextUpstream {
  readonly isOff: boolean;
  readonly on: readonly string[];
  /** 0 = as many as there are servers. */
  readonly tries: number;
  /** A duration of the file. */
  readonly timeout: string;
}

/** Longest list of servers that one exchange goes through. */
const ATTEMPTS_MAX = 10;

/** Reads the three directives as the location inherits them. */
export function readNextUpstream(scope: Scope, report: TranslationReport): NextUpstream {
  const next = inheritedDirective(scope, 'proxy_next_upstream');
  const conditions = next?.words.map(({ text }) => text) ?? ['error', 'timeout'];
  const known: readonly string[] = RETRY_CONDITIONS;
  for (const word of next?.words ?? [])
    if (word.text !== 'off' && !known.includes(word.text))
      report.fail(word, next!.name.text, `off or conditions: ${known.join(' ')}`, showGot(word.text));
  const tries = inheritedDirective(scope, 'proxy_next_upstream_tries');
  const number = tries?.words[0]?.text ?? '0';
  if (!/^\d{1,6}$/.test(number)) report.fail(tries!.name, tries!.name.text, 'a number', showGot(number));
  const timeout = inheritedDirective(scope, 'proxy_next_upstream_timeout');
  const isUnlimited = timeout === undefined || /^0[a-z]*$/.test(timeout.words[0]?.text ?? '');
  return {
    isOff: conditions.includes('off'),
    on: RETRY_CONDITIONS.filter((condition) => conditions.includes(condition)),
    tries: Number(number),
    timeout: isUnlimited ? '0ms' : report.time(timeout, '0ms'),
  };
}

/** `retry` of an upstream with so many servers that are not down. */
export function retryOf(next: NextUpstream, servers: number): Record<string, unknown> {
  const tries = next.tries === 0 ? servers : Math.min(next.tries, servers);
  // Also an only server gets a request again whose kept connection has just closed.
  const attempts = next.isOff ? 0 : next.tries === 1 ? 0 : Math.min(ATTEMPTS_MAX, Math.max(1, tries - 1));
  return {
    ...(attempts === 1 ? {} : { attempts }),
    ...(next.isOff || next.on.join() === 'error' ? {} : { on: next.on }),
    ...(next.timeout === '0ms' ? {} : { timeout: next.timeout }),
  };
}
