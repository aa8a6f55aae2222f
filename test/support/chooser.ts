// The splitter as a function from the raw bytes of a request to the name of a variant, through the library door. It
// takes a head apart just far enough for that; whether a head is well-formed is not its question.
import { createSplitter } from '../../src/index.ts';
import { type NginxSplit, variantName } from './nginx.ts';

/** A split as nginx lays it out, a missing key going where nginx sends it. */
export function chooserOf({ key, shares }: NginxSplit): (request: Buffer) => string | undefined {
  const variants = shares.map((share, index) => ({ name: variantName(index), share }));
  const splitter = createSplitter({ key, missingKey: 'first', variants });
  return (request) => {
    const [requestLine, ...lines] = request.toString('latin1').split('\r\n\r\n', 1)[0]!.split('\r\n');
    const [method, url] = requestLine!.split(' ');
    const rawHeaders = lines.flatMap((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon), line.slice(colon + 1).trim()];
    });
    return splitter.decide({ method, url, rawHeaders, remoteAddress: '127.0.0.1' }).variant?.name;
  };
}
