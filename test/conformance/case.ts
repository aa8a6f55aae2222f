// A case of the conformance page: what a client or an upstream sends, and the rule that it tests. Also the helpers with
// which cases are written.

export interface RequestCase {
  readonly rule: string;
  readonly rfc: string;
  /** Bytes of the client. An honest "GET /marker" follows them in the same write. */
  readonly send: string;
  /** What to tell of a request that passed. */
  readonly look?: (request: SeenRequest) => string;
  /** Why we differ from both. */
  readonly why?: string;
}

export interface ResponseCase {
  readonly rule: string;
  readonly rfc: string;
  /** Bytes of the upstream. */
  readonly answer: string;
  /** The upstream ends the connection behind them. */
  readonly ends?: boolean;
  readonly method?: string;
  readonly why?: string;
}

export interface SeenRequest {
  readonly line: string;
  readonly head: string;
  readonly body: string;
}

export const HOST = 'Host: h\r\n';
export const FORGED = 'GET /forged HTTP/1.1\r\nHost: h\r\n\r\n';
export const get = (target: string, fields = '') => `GET ${target} HTTP/1.1\r\n${HOST}${fields}\r\n`;
export const post = (fields: string, body: string) => `POST /a HTTP/1.1\r\n${HOST}${fields}\r\n${body}`;
export const lineOf = (request: SeenRequest) => `as \`${request.line}\``;
export const has = (name: string) => (request: SeenRequest) =>
  new RegExp(`^${name}:`, 'im').test(request.head) ? `with ${name}` : `without ${name}`;
export const fieldOf = (name: string) => (request: SeenRequest) => {
  const value = new RegExp(`^${name}: *(.*)$`, 'im').exec(request.head)?.[1]?.trim();
  return value === undefined ? `without ${name}` : `with \`${name}: ${value}\``;
};
export const bodyOf = (request: SeenRequest) => `with the body ${JSON.stringify(request.body)}`;
