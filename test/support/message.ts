// A small HTTP/1.x parser for the ends of a wire test, independent of src/http1: it accepts well-formed messages,
// as the splitter must send them, and throws on everything else.

/** One message as it stood on the wire; one byte a character. */
export interface Message {
  /** The start line. */
  readonly line: string;
  /** Names as sent and values, in order. */
  readonly fields: readonly (readonly [name: string, value: string])[];
  /** Decoded. */
  readonly body: string;
  readonly trailers: readonly (readonly [name: string, value: string])[];
  /** Sizes of the chunks; null when the body was not chunked. */
  readonly chunks: readonly number[] | null;
  /** Everything, as it came. */
  readonly raw: string;
}

/** What the reader has to be told about a response: to which method, and whether the connection has ended. */
export interface Context {
  readonly method?: string;
  readonly hasEnded?: boolean;
  /** Called for a message that is not complete, with the length that the text must reach before another try. */
  readonly wants?: (length: number) => void;
}

/** Reads the message at the start of `text`; null when it is not complete. Throws when it is malformed. */
export function readMessage(text: string, context: Context = {}): Message | null {
  const headEnd = text.indexOf('\r\n\r\n');
  if (headEnd === -1) return null;
  const [line, ...lines] = text.slice(0, headEnd).split('\r\n');
  const fields = lines.map(readField);
  const head = { line: line!, fields };
  const bodyStart = headEnd + 4;
  const end = (body: string, bodyEnd: number, more: Partial<Message> = {}): Message => ({
    ...head,
    body,
    trailers: [],
    chunks: null,
    raw: text.slice(0, bodyEnd),
    ...more,
  });

  const isResponse = line!.startsWith('HTTP/');
  const status = isResponse ? Number(/^HTTP\/1\.1 (\d{3}) /.exec(line!)?.[1]) : 0;
  if (isResponse && Number.isNaN(status)) throw new Error(`no status line: ${line}`);
  if (!isResponse && !/^[\x21-\x7e]+ [\x21-\x7e\x80-\xff]+ HTTP\/1\.1$/.test(line!))
    throw new Error(`no request line: ${line}`);
  if (isResponse && (status < 200 || status === 204 || status === 304 || context.method === 'HEAD')) {
    return end('', bodyStart);
  }
  const lengths = valuesOf(head, 'content-length');
  const codings = valuesOf(head, 'transfer-encoding');
  if (lengths.length + codings.length > 1) throw new Error(`framed twice: ${text.slice(0, headEnd)}`);
  if (codings.length === 1) {
    if (codings[0] !== 'chunked') throw new Error(`unknown coding: ${codings[0]}`);
    return readChunks(text, bodyStart, end, context);
  }
  if (lengths.length === 1) {
    if (!/^\d+$/.test(lengths[0]!)) throw new Error(`no length: ${lengths[0]}`);
    const bodyEnd = bodyStart + Number(lengths[0]);
    if (text.length >= bodyEnd) return end(text.slice(bodyStart, bodyEnd), bodyEnd);
    context.wants?.(bodyEnd);
    return null;
  }
  if (!isResponse) return end('', bodyStart);
  return context.hasEnded === true ? end(text.slice(bodyStart), text.length) : null;
}

function readChunks(
  text: string,
  bodyStart: number,
  end: (body: string, bodyEnd: number, more: Partial<Message>) => Message,
  { wants }: Context,
): Message | null {
  const chunks: number[] = [];
  let body = '';
  let position = bodyStart;
  for (;;) {
    const lineEnd = text.indexOf('\r\n', position);
    if (lineEnd === -1) return null;
    const digits = text.slice(position, lineEnd);
    if (!/^[0-9a-f]+$/.test(digits)) throw new Error(`no chunk size: ${JSON.stringify(digits)}`);
    const size = Number.parseInt(digits, 16);
    position = lineEnd + 2;
    if (size === 0) break;
    if (text.length < position + size + 2) {
      wants?.(position + size + 2);
      return null;
    }
    body += text.slice(position, position + size);
    chunks.push(size);
    position += size + 2;
    if (text.slice(position - 2, position) !== '\r\n') throw new Error('a chunk is longer than its size');
  }
  const trailers: (readonly [string, string])[] = [];
  for (;;) {
    const lineEnd = text.indexOf('\r\n', position);
    if (lineEnd === -1) return null;
    const line = text.slice(position, lineEnd);
    position = lineEnd + 2;
    if (line === '') return end(body, position, { trailers, chunks });
    trailers.push(readField(line));
  }
}

function readField(line: string): readonly [string, string] {
  // The canonical form: a token, a colon, one space, a value without space around it.
  const match =
    /^([!#$%&'*+.^_`|~0-9A-Za-z-]+): ((?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?)$/.exec(
      line,
    );
  if (match === null) throw new Error(`no canonical field: ${JSON.stringify(line)}`);
  return [match[1]!, match[2]!];
}

/** Values of a field, whatever the case of its name, in order. */
export function valuesOf(message: Pick<Message, 'fields'>, name: string): string[] {
  return message.fields.filter(([one]) => one.toLowerCase() === name.toLowerCase()).map(([, value]) => value);
}

/** Status of a response. */
export const statusOf = (message: Message): number => Number(message.line.slice(9, 12));
