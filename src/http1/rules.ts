// Says which rule a refused message broke, for the person who has to correct its sender. The parsers record a rule and
// positions; this file makes the text, and only for a refused message. It names fields and never shows a value: from the
// wire it takes only a field name of token characters, at most 64 bytes of it. Knows nothing of sockets.

import { COLON, CR, HT, LF, SP } from '../bytes.ts';

/** Every rule that a refusal can name. `%` is the byte that broke it. */
const RULES = {
  field: '',
  fieldCount: 'more fields than the limit',
  fieldBytes: 'the fields take more bytes than the limit',
  nominations: 'Connection names more than 32 fields',

  requestLineStart: 'a CR without LF comes before the request line',
  methodByte: 'byte % in the method',
  tls: 'the client speaks TLS where plain HTTP is expected',
  noMethod: 'the request line has no method',
  noTarget: 'the request line has no target',
  targetByte: 'byte % in the target',
  noVersion: 'the request line ends after the target, without a version',
  versionForm: 'the request line does not end with "HTTP/1.1" and CRLF',
  requestLineLf: 'the request line ends with a bare LF',
  requestLineEnd: 'the request line does not end with CRLF',
  version: 'the version is neither 1.0 nor 1.1',
  connect: 'the method is CONNECT',
  lineBytes: 'the line is longer than 8 KiB',
  asterisk: 'the target "*" is used with a method other than OPTIONS',
  targetForm: 'the target begins with neither "/" nor "http://"',
  targetAuthority: 'the target has no valid authority',

  notHttp: 'the response does not begin with "HTTP/"',
  responseVersion: 'the response has a version other than HTTP/1.x',
  statusCode: 'the status line has no status code from 100 to 999',
  reasonByte: 'byte % in the reason phrase',
  statusLineLf: 'the status line ends with a bare LF',
  statusLineCr: 'the status line holds a CR without LF',

  hostMissing: 'Host is missing',
  hostTwice: 'Host appears more than once',
  hostForm: 'Host is not a host name with an optional port',
  lengthTwice: 'Content-Length appears more than once',
  lengthForm: 'Content-Length is not a plain number up to 2^53 - 1',
  lengthAndCoding: 'Content-Length and Transfer-Encoding appear together',
  codingInHttp10: 'Transfer-Encoding appears in an HTTP/1.0 message',
  codingTwice: 'Transfer-Encoding appears more than once',
  codingUnknown: 'Transfer-Encoding is not "chunked"',

  chunkSize: 'a chunk does not begin with its size in hexadecimal digits',
  chunkSizeLong: 'a chunk size has more than 13 digits',
  chunkLineLong: 'a chunk-size line is longer than 1024 bytes',
  chunkLine: 'byte % after a chunk size',
  chunkEnd: 'the data of a chunk is not followed by CRLF',
  trailer: '',
} as const satisfies Record<string, string>;

/** One of the rules. */
export type Rule = keyof typeof RULES;

/** Longest field name that is shown. */
const NAME_BYTES_MAX = 64;
/** How far a line is searched for its colon. */
const SEARCHED_BYTES_MAX = 256;
const TOKEN_PREFIX = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]*/;

/** Positions of a refusal in the bytes that were received. */
export interface Breach {
  readonly rule: Rule;
  /** The bytes that every position indexes into, up to `readTo`; what follows belongs to other messages. */
  readonly bytes: Buffer;
  readonly readTo: number;
  /** Where the line that broke the rule starts. */
  readonly lineStart: number;
  /** The byte that broke it. */
  readonly badAt: number;
  /** Where the name of the field before that line is; an empty range when there is none. */
  readonly lastNameStart: number;
  readonly lastNameEnd: number;
}

/** The rule as text: one clause, printable ASCII, at most some 150 characters. */
export function describeBreach(breach: Breach): string {
  const { rule, bytes, badAt, lineStart } = breach;
  if (rule === 'field') return describeField(breach);
  if (rule === 'trailer') return `trailer "${nameAt(breach, lineStart)}" is not allowed`;
  return describeRule(rule, bytes[badAt] ?? 0);
}

/** The text of a rule without positions, or with only the byte that broke it. */
export function describeRule(rule: Rule, byte = 0): string {
  return RULES[rule].replace('%', showByte(byte));
}

function describeField(breach: Breach): string {
  const { bytes, lineStart, badAt, readTo } = breach;
  const first = bytes[lineStart];
  if (first === LF) return 'a bare LF is at the end of the fields';
  if (first === CR) return 'a CR without LF is at the end of the fields';
  const last = nameBetween(breach, breach.lastNameStart, breach.lastNameEnd);
  const byte = bytes[badAt]!;
  if (first === SP || first === HT) {
    if (last === '') return 'the first field line begins with white space';
    return badAt === lineStart ? `field "${last}" is folded` : describeEnd(breach, last);
  }
  const searched = Math.min(readTo, lineStart + SEARCHED_BYTES_MAX);
  let colon = lineStart;
  while (colon < searched && bytes[colon] !== COLON && bytes[colon] !== LF) colon++;
  if (colon === searched || bytes[colon] === LF) {
    // A line without a colon may be the rest of a value: nothing of it is shown.
    if (colon === searched) return `byte ${showByte(byte)} in a field name`;
    return last === '' ? 'the first field line has no colon' : `the line after field "${last}" has no colon`;
  }
  if (colon === lineStart) return 'a field has no name';
  const name = nameAt(breach, lineStart);
  if (badAt < colon) {
    if (name === '') return `a field name begins with byte ${showByte(byte)}`;
    if (byte === SP || byte === HT) return `white space follows "${name}" before the colon of its field`;
    return `byte ${showByte(byte)} follows "${name}" in a field name`;
  }
  return describeEnd(breach, name);
}

/** Describes a byte that cannot be in a value, or a wrong line end. */
function describeEnd({ bytes, badAt }: Breach, name: string): string {
  const byte = bytes[badAt]!;
  if (byte === LF && bytes[badAt - 1] !== CR) return `field "${name}" ends with a bare LF`;
  if (bytes[badAt - 1] === CR) return `field "${name}" holds a CR without LF`;
  return `byte ${showByte(byte)} in the value of field "${name}"`;
}

/** The token that starts there. */
function nameAt(breach: Breach, start: number): string {
  return nameBetween(breach, start, Math.min(breach.readTo, start + NAME_BYTES_MAX + 1));
}

function nameBetween({ bytes }: Breach, start: number, end: number): string {
  const shown = bytes.toString('latin1', start, Math.min(end, start + NAME_BYTES_MAX + 1));
  const name = TOKEN_PREFIX.exec(shown)![0];
  return name.length > NAME_BYTES_MAX ? `${name.slice(0, NAME_BYTES_MAX)}...` : name;
}

function showByte(byte: number): string {
  return `0x${byte.toString(16).padStart(2, '0')}`;
}
