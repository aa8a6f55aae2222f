// What the translation of an nginx.conf finds on its way: problems, notes, what was left out, and which line each part of the
// document comes from. Knows which directives are without effect, but translates none.

import { type Path, type Place, PROBLEMS_SHOWN_MAX, type Problem, showGot } from '../problem.ts';
import { INHERITED, readSize, readTime } from './directives.ts';
import {
  ALLOWED_IN,
  guessDirective,
  isDirective,
  NEUTRAL_VALUES,
  READ_TLS_DIRECTIVE,
  TLS_DIRECTIVE,
  UPSTREAM_TLS_DIRECTIVE,
  WITHOUT_EFFECT,
} from './meanings.ts';
import { type Directive, type Position, problemAt } from './syntax.ts';

/** For every file that does not say `proxy_request_buffering off`. */
export const BUFFERING_NOTE =
  'proxy_request_buffering: request bodies pass as they arrive, so a chunked upload reaches the upstream chunked; nginx sends it with Content-Length';
const NAMES_NOTE = 'underscores_in_headers: fields like X_Under and X.Dot pass; nginx drops them by default';
const GZIP_NOTE = 'gzip: answers are not compressed here; those that an upstream compresses pass as they are';

/** What is said where nginx would speak HTTP/2. */
export const HTTP2_NOTE = 'clients are offered HTTP/1.1 alone, not HTTP/2';

interface DirectiveOrigin {
  readonly position: Position;
  readonly directive: string;
}

const ACCESS_LOG_NOTE =
  'access_log: every request is logged on stdout as a line of JSON (accessLog.mode: all); file and format are not kept';

/** Collects the problems and notes of one nginx.conf. Made for one translation, which owns it. */
export class TranslationReport {
  readonly problems: Problem[] = [];
  readonly #file: string;
  readonly #failed = new Set<string>();
  readonly #notes = new Set<string>();
  readonly #ignored = new Set<string>();
  /** Directives about TLS to upstreams, and where they are. */
  readonly #upstreamTls: (readonly [Directive, block: string])[] = [];
  /** By their prefix. */
  readonly #origins = new Map<string, DirectiveOrigin>();

  constructor(file: string) {
    this.#file = file;
  }

  /** What was left out, in one note, then the others. */
  get notes(): readonly string[] {
    const ignored = [...this.#ignored].filter((name) => !this.usesTls || !READ_TLS_DIRECTIVE.test(name));
    const leftOut = `left out, because it has no effect here: ${ignored.join(', ')}`;
    return [...(ignored.length === 0 ? [] : [leftOut]), ...this.#notes];
  }

  /** Place in the nginx.conf that the value at `path` of the document comes from. */
  locate(path: Path): Place {
    // The longest prefix is the nearest place.
    let best: DirectiveOrigin | undefined;
    for (let length = path.length; length >= 0 && best === undefined; length--) {
      best = this.#origins.get(JSON.stringify(path.slice(0, length)));
    }
    if (best === undefined) return { at: this.#file, path: '', order: 0 };
    const { at, order } = problemAt(best.position, '', '', '');
    return { at, path: best.directive, order };
  }

  fail(at: Position, directive: string, expected: string, got: string): void {
    const problem = problemAt(at, directive, expected, got);
    // Inherited directives are looked at once for each location.
    const id = `${problem.at} ${expected}`;
    if (this.#failed.has(id)) return;
    this.#failed.add(id);
    this.problems.push(problem);
  }

  /** A sentence for the user, listed once however often it applies. */
  note(sentence: string): void {
    this.#notes.add(sentence);
  }

  /** What the buffers for message heads hold, in bytes; absent where no directive says so. */
  readonly headLimits: { requestLine?: number; requestHead?: number; responseHead?: number } = {};

  /** Some listen has ssl. */
  usesTls = false;

  /** Some block logs its requests. */
  logsRequests = false;

  /** Something that was left out because it changes nothing here. */
  ignore(what: string): void {
    this.#ignored.add(what);
  }

  /** The value at `prefix` of the document, and everything in it, comes from here. */
  origin(prefix: Path, position: Position, directive: string): void {
    this.#origins.set(JSON.stringify(prefix), { position, directive });
  }

  /** A directive outside http. */
  main(directive: Directive): void {
    const { text } = directive.name;
    if (text === 'http') return;
    if (text === 'worker_shutdown_timeout') this.note('worker_shutdown_timeout is drain.deadline here');
    else if (WITHOUT_EFFECT.main!.has(text)) {
      this.ignore(text);
      if (directive.block !== null) this.unread(directive, text);
    } else this.unknown(directive, 'main');
  }

  /** A block of which nothing is kept: what nginx itself does not know in it is still a slip of the pen. */
  unread({ block }: Directive, where: string): void {
    for (const inner of block ?? []) if (!isDirective(inner.name.text)) this.unknown(inner, where);
  }

  /** A directive that inner blocks inherit, or one without effect; else a problem. */
  inheritable(directive: Directive, block: string): void {
    const { text } = directive.name;
    const places = ALLOWED_IN.get(text);
    if (places?.includes(block) === false)
      return this.fail(
        directive.name,
        '',
        `${text} in ${places.join(' or ')}, as nginx has it`,
        `it in ${block}`,
      );
    if (INHERITED.has(text)) {
      if (directive.words.length === 0 && directive.block === null)
        this.fail(directive.name, text, 'a value', 'nothing');
      return;
    }
    const value = directive.words.map((word) => word.text).join(' ');
    if (UPSTREAM_TLS_DIRECTIVE.test(text)) this.#upstreamTls.push([directive, block]);
    else if (text === 'gzip' && value !== 'off') this.note(GZIP_NOTE);
    else if (WITHOUT_EFFECT.http!.has(text)) this.ignore(text);
    else if (NEUTRAL_VALUES.get(text)?.test(value) === true) this.ignore(`${text} ${value}`);
    else if (text === 'proxy_request_buffering') this.#readBuffering(text, value);
    else if (text === 'underscores_in_headers' || text === 'ignore_invalid_headers')
      this.#readNames(text, value);
    else if (text === 'access_log') this.#readAccessLog(directive);
    else if (text === 'large_client_header_buffers') this.#readRequestBuffers(directive);
    else if (text === 'proxy_buffer_size') this.#readResponseBuffer(directive);
    else if (TLS_DIRECTIVE.test(text) || text === 'proxy_pass_header') this.ignore(text);
    else if (text === 'http2') this.note(HTTP2_NOTE);
    else this.unknown(directive, block);
  }

  /** Decides on what the file says of TLS to upstreams, when it is known whether it has any. */
  endUpstreamTls(hasTls: boolean): void {
    for (const [directive, block] of this.#upstreamTls) {
      const isSent = directive.name.text === 'proxy_ssl_server_name' && directive.words[0]?.text === 'on';
      if (!hasTls || isSent) this.ignore(directive.name.text);
      else this.unknown(directive, block);
    }
  }

  #readBuffering(name: string, value: string): void {
    if (value !== 'off' && value !== 'on') this.ignore(`${name} ${value}`);
    else if (value === 'off') this.ignore(name);
  }

  /** What is said to pass does. */
  #readNames(name: string, value: string): void {
    if (value === (name === 'underscores_in_headers' ? 'on' : 'off')) this.ignore(name);
    else this.note(NAMES_NOTE);
  }

  /** One log here takes the requests of all blocks. */
  #readAccessLog({ name, words: [path] }: Directive): void {
    if (path === undefined) return this.fail(name, name.text, 'a path or off', 'nothing');
    if (path.text === 'off' || path.text === '/dev/null') return this.ignore(name.text);
    this.logsRequests = true;
    this.note(ACCESS_LOG_NOTE);
  }

  /** Of several blocks the largest buffers count: what nginx takes anywhere is taken everywhere. */
  #readRequestBuffers({ name, words }: Directive): void {
    const [count, size, more] = words;
    const bytes = nginxBytes(size?.text ?? '');
    const buffers = /^\d{1,6}$/.test(count?.text ?? '') ? Number(count!.text) : 0;
    if (more !== undefined || buffers === 0 || bytes === 0) {
      this.fail(
        name,
        name.text,
        'a number and a size like 4 16k',
        showGot(words.map(({ text }) => text).join(' ')),
      );
      return;
    }
    const { requestLine = 0, requestHead = 0 } = this.headLimits;
    this.headLimits.requestLine = Math.max(requestLine, bytes);
    this.headLimits.requestHead = Math.max(requestHead, buffers * bytes);
    this.#noteLargest(name.text, buffers * bytes);
  }

  /** A head may always have 32 KiB, which is more than nginx's default. */
  #readResponseBuffer(directive: Directive): void {
    const bytes = nginxBytes(this.size(directive, '8k')?.replace(/iB$/, '') ?? '');
    if (bytes <= RESPONSE_HEAD_BYTES) this.ignore(directive.name.text);
    else this.headLimits.responseHead = Math.max(this.headLimits.responseHead ?? 0, bytes);
    this.#noteLargest(directive.name.text, bytes);
  }

  #noteLargest(directive: string, bytes: number): void {
    if (bytes > HEAD_KIB_MAX * 1024)
      this.note(`${directive} counts as 1MiB here, the largest head that the splitter reads`);
  }

  /** A directive that cannot be kept. */
  unknown({ name, block }: Directive, where: string): void {
    const guess = this.problems.length < PROBLEMS_SHOWN_MAX ? guessDirective(name.text) : '';
    const expected = `a directive that can be kept in ${where}${guess}`;
    this.fail(name, '', expected, `${showGot(name.text)}${block === null ? '' : ' {…}'}`);
  }

  /** Value of a time directive, or nginx's default where there is none. */
  time(directive: Directive | undefined, defaultText: string): string {
    const word = directive?.words[0];
    const time = readTime(word?.text ?? defaultText);
    if (time !== undefined) return time;
    this.fail(word!, directive!.name.text, 'a time like 60s or 1m30s, above 0', showGot(word!.text));
    return defaultText;
  }

  /** Value of a size directive, or nginx's default where there is none; null for no limit. */
  size(directive: Directive | undefined, defaultText: string): string | null {
    const word = directive?.words[0];
    const size = readSize(word?.text ?? defaultText);
    if (size !== undefined) return size;
    this.fail(word!, directive!.name.text, 'a size like 8k or 1m', showGot(word!.text));
    return null;
  }
}

const RESPONSE_HEAD_BYTES = 32_768;
/** What a head may be at most, and at least, whatever the buffers hold. */
const HEAD_KIB_MAX = 1024;

/** "16k" -> 16384; 0 for what is no size. */
function nginxBytes(text: string): number {
  const match = /^(\d{1,9})([kKmM]?)B?$/.exec(text);
  if (match === null) return 0;
  return Number(match[1]) * { '': 1, k: 1024, m: 1_048_576 }[match[2]!.toLowerCase() as '' | 'k' | 'm'];
}

/** A limit of heads as the file has it, in whole KiB and within what the file takes. */
export function headSize(bytes: number): string {
  const kib = Math.min(HEAD_KIB_MAX, Math.max(1, Math.ceil(bytes / 1024)));
  return kib === HEAD_KIB_MAX ? '1MiB' : `${kib}KiB`;
}
