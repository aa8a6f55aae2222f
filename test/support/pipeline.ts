// A raw client: writes requests byte for byte over keep-alive connections, several before their answers, and reads
// the answers in order. Parses just enough HTTP to find the end of a response with Content-Length or chunks.
import { connect } from 'node:net';

/** One answer: its status and its body as latin1 text. */
export interface Answer {
  readonly status: number;
  readonly body: string;
}

interface Options {
  /** Connections at once, each with its part of the requests. */
  readonly connections?: number;
  /** Requests on their way per connection. */
  readonly depth?: number;
  /** Where the port is; 127.0.0.1 unless given. */
  readonly host?: string;
}

/**
 * The answer to each request, in order. After an answer with `Connection: close` the requests behind it are sent again
 * on a new connection; an end without it rejects.
 */
export async function askAll(
  port: number,
  requests: readonly Buffer[],
  { connections = 4, depth = 16, host = '127.0.0.1' }: Options = {},
): Promise<Answer[]> {
  const size = Math.ceil(requests.length / connections);
  const parts = Array.from({ length: connections }, (_, i) => requests.slice(i * size, (i + 1) * size));
  return (await Promise.all(parts.map((part) => askInTurn(port, host, part, depth)))).flat();
}

async function askInTurn(
  port: number,
  host: string,
  requests: readonly Buffer[],
  depth: number,
): Promise<Answer[]> {
  const answers: Answer[] = [];
  while (answers.length < requests.length) {
    answers.push(...(await askOnce(port, host, requests.slice(answers.length), depth)));
  }
  return answers;
}

/** Answers of one connection: to all requests, or up to the one that closed it. */
function askOnce(port: number, host: string, requests: readonly Buffer[], depth: number): Promise<Answer[]> {
  return new Promise((resolve, reject) => {
    const answers: Answer[] = [];
    const socket = connect(port, host);
    let sent = 0;
    let rest = '';
    const fill = () => {
      const until = Math.min(requests.length, answers.length + depth);
      if (sent < until) socket.write(Buffer.concat(requests.slice(sent, until)));
      sent = until;
    };
    const finish = () => {
      socket
        .removeAllListeners('end')
        .removeAllListeners('data')
        .once('close', () => resolve(answers));
      socket.destroy();
    };
    socket.setEncoding('latin1');
    socket.on('connect', fill);
    socket.on('data', (text: string) => {
      rest += text;
      for (let read = readAnswer(rest); read !== null; read = readAnswer(rest)) {
        answers.push(read.answer);
        rest = rest.slice(read.length);
        if (read.closes) return finish();
      }
      if (answers.length === requests.length) finish();
      else if (answers.length > sent - depth / 2) fill();
    });
    socket.on('error', reject);
    socket.on('end', () => {
      const request = requests[answers.length]?.subarray(0, 200).toString('latin1');
      reject(
        new Error(
          `cut after ${answers.length} answers, in front of that to ${JSON.stringify(request)}: ${rest}`,
        ),
      );
    });
  });
}

function readAnswer(text: string): { answer: Answer; length: number; closes: boolean } | null {
  const headEnd = text.indexOf('\r\n\r\n');
  if (headEnd === -1) return null;
  const head = text.slice(0, headEnd);
  const status = Number(head.slice(9, 12));
  const bodyStart = headEnd + 4;
  const closes = /^connection: *close/im.test(head);
  const length = /^content-length: *(\d+)/im.exec(head)?.[1];
  if (length !== undefined) {
    const end = bodyStart + Number(length);
    return text.length < end
      ? null
      : { answer: { status, body: text.slice(bodyStart, end) }, length: end, closes };
  }
  if (!/^transfer-encoding: *chunked/im.test(head)) throw new Error(`an answer without an end: ${head}`);
  let body = '';
  for (let at = bodyStart; ; ) {
    const lineEnd = text.indexOf('\r\n', at);
    if (lineEnd === -1) return null;
    const size = Number.parseInt(text.slice(at, lineEnd), 16);
    const end = lineEnd + 2 + size + 2;
    if (text.length < end) return null;
    if (size === 0) return { answer: { status, body }, length: end, closes };
    body += text.slice(lineEnd + 2, lineEnd + 2 + size);
    at = end;
  }
}
