// The fields of the messages that the handler passes on, names and values in turn as in `rawHeaders`: those of the request
// for the upstream and those of the response for the client. Sources: RFC 9110 §7.6, RFC 9112 §6.

import type { IncomingMessage } from 'node:http';
import type { Config } from '../config/options/document.ts';
import { isFieldOf, isForwardedName, isSplitterName } from '../http1/field-names.ts';
import type { RequestEdit } from '../http1/forward-request.ts';
import type { LibraryView } from '../split/request.ts';
import type { AgentUpstream } from './agent-upstream.ts';

/** What the splitter changes in every answer to the client. */
export interface AnswerEdit {
  /** Names, by `foldedName`, of the upstream's fields that the client does not get. */
  readonly dropped: readonly Uint8Array[];
  /** Fields that are added, names and values in turn. */
  readonly added: readonly string[];
}

/** Fields that belong to one connection and go no further (RFC 9110 §7.6.1), and Trailer, as trailers do not pass. */
const CONNECTION_FIELDS = 'connection keep-alive proxy-connection te trailer transfer-encoding upgrade'.split(
  ' ',
);
/** The client's fields that each value of `forwarded` replaces or removes. */
const FORWARDED_AWAY: Record<Config['forwarded'], (name: string) => boolean> = {
  append: (name) => name.toLowerCase() === 'x-forwarded-for',
  replace: isForwardedName,
  remove: isForwardedName,
  keep: () => false,
};

/** Names and values in turn without the connection's own fields, those that Connection names, and `dropped`. */
function endToEnd({ rawHeaders, headers }: IncomingMessage, dropped: readonly string[]): string[] {
  const named = (headers.connection ?? '').split(',').map((name) => name.trim().toLowerCase());
  // Content-Length belongs to the message, whatever Connection says of it.
  const out = [...CONNECTION_FIELDS, ...dropped, ...named.filter((name) => name !== 'content-length')];
  return without(rawHeaders, out);
}

function without(fields: readonly string[], dropped: readonly string[]): string[] {
  return fields.filter((_, i) => !dropped.includes(fields[i - (i % 2)]!.toLowerCase()));
}

function valuesOf(fields: readonly string[], name: string): string[] {
  return fields.filter((_, i) => i % 2 === 1 && fields[i - 1]!.toLowerCase() === name);
}

/** The fields for the upstream without framing: those of the client that may pass, Host, and what the splitter adds. */
export function requestFields(
  { forwarded, via }: Config,
  { config: { host }, url }: AgentUpstream,
  edit: RequestEdit | null,
  view: LibraryView,
  request: IncomingMessage,
): string[] {
  const sentHost = view.authority ?? request.headers.host ?? '';
  const ownHost = host === '$proxy_host' ? url.authority : host;
  // The server has already answered Expect: the body is on its way.
  const passing = editedFields(endToEnd(request, ['host', 'content-length', 'expect']), edit);
  const fields = ['Host', ownHost ?? (sentHost || url.authority)];
  fields.push(...passing.filter((_, i) => !FORWARDED_AWAY[forwarded](passing[i - (i % 2)]!)));
  if (forwarded === 'append' || forwarded === 'replace') {
    const before = forwarded === 'append' ? valuesOf(passing, 'x-forwarded-for') : [];
    const own = view.remoteAddress === 'unix:' ? '' : view.remoteAddress;
    const addresses = [...before, own].filter((address) => address !== '').join(', ');
    const scheme = 'encrypted' in request.socket ? 'https' : 'http';
    const has = (name: string) => valuesOf(fields, name).length > 0;
    if (addresses !== '') fields.push('X-Forwarded-For', addresses);
    if (!has('x-forwarded-proto')) fields.push('X-Forwarded-Proto', scheme);
    if (!has('x-forwarded-host') && sentHost !== '') fields.push('X-Forwarded-Host', sentHost);
  }
  if (via) fields.push('Via', `${request.httpVersion} request-splitter`);
  return fields;
}

function editedFields(passing: readonly string[], edit: RequestEdit | null): readonly string[] {
  if (edit === null) return passing;
  const { droppedFields, cookie, addedLines } = edit;
  const kept = withoutFields(passing, droppedFields);
  const fields = cookie === null ? kept : without(kept, ['cookie']);
  // Cookies that Connection names are already gone, and are not replaced.
  const hasCookie = fields.length < kept.length && cookie !== null && cookie.length > 0;
  if (hasCookie) fields.push('Cookie', Buffer.from(cookie).toString('latin1'));
  return [...fields, ...fieldsOfLines(addedLines)];
}

function withoutFields(fields: readonly string[], dropped: readonly Uint8Array[]): string[] {
  return fields.filter((_, i) => !isFieldOf(dropped, fields[i - (i % 2)]!));
}

/** The fields of whole lines, as names and values in turn. */
export function fieldsOfLines(lines: string): string[] {
  return [...lines.matchAll(/(.*?): (.*)\r\n/g)].flatMap(([, name, value]) => [name!, value!]);
}

/** Edits the parsed fields of a 101 in place: http-proxy writes the response from these. */
export function editHeaders({ headers }: IncomingMessage, { dropped, added }: AnswerEdit): void {
  for (const name of Object.keys(headers))
    if (isFieldOf(dropped, name) || isSplitterName(name)) delete headers[name];
  for (let i = 0; i < added.length; i += 2) {
    const name = added[i]!.toLowerCase();
    headers[name] = [headers[name] ?? [], added[i + 1]!].flat();
  }
}

/** The framing that `request` came with, as the only fields that frame the upstream request (RFC 9112 §6). */
export function framingFields({ method, headers }: IncomingMessage): string[] {
  if (headers['transfer-encoding'] !== undefined) return ['Transfer-Encoding', 'chunked'];
  if (headers['content-length'] !== undefined) return ['Content-Length', headers['content-length']];
  // Node would add chunked framing to the methods that usually have a body.
  return /^(?:GET|HEAD|DELETE|OPTIONS|TRACE)$/.test(method!) ? [] : ['Content-Length', '0'];
}

/** True when the fields of the request frame a body that is not empty (RFC 9112 §6.3). */
export function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

/** The fields for the client: those of the upstream that may pass, and what the splitter adds. */
export function responseFields(
  { via }: Config,
  { dropped, added }: AnswerEdit,
  upstreamResponse: IncomingMessage,
): string[] {
  const passing = endToEnd(upstreamResponse, upstreamResponse.statusCode === 204 ? ['content-length'] : []);
  const theirs = withoutFields(passing, dropped);
  const fields = [...theirs.filter((_, i) => !isSplitterName(theirs[i - (i % 2)]!)), ...added];
  if (via) fields.push('Via', `${upstreamResponse.httpVersion} request-splitter`);
  return fields;
}
