// The splitter as a function from the raw bytes of a request to the name of a variant, through the library. It
// parses a head just far enough for that and does not check whether it is well-formed.
import { linkSource } from '../../src/config/link.ts';
import { createSplitter } from '../../src/index.ts';
import { LibraryView } from '../../src/split/request.ts';
import { Splitter } from '../../src/split/splitter.ts';
import { type NginxSplit, variantName } from './nginx.ts';

/** A split as nginx lays it out, a missing key going where nginx sends it. */
export function chooserOf({ key, shares }: NginxSplit): (request: Buffer) => string | undefined {
  const variants = shares.map((share, index) => ({ name: variantName(index), share }));
  // A constant key is a mistake for every door but that of an nginx.conf, which runs whatever nginx runs.
  const splitter = key.includes('$')
    ? createSplitter({ key, missingKey: 'first', variants })
    : translated({ key, missingKey: 'first', variants });
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

function translated(split: { variants: readonly object[] } & Record<string, unknown>) {
  const variants = split.variants.map((variant) => ({ ...variant, upstream: 'http://any' }));
  const locate = () => ({ at: 'nginx.conf', path: '', order: 0 });
  const document = { splits: { s: { ...split, variants } } };
  const { config } = linkSource({ document, locate, isTranslated: true });
  const splitter = new Splitter('s', config!.splits.get('s')!);
  return {
    decide: (request: ConstructorParameters<typeof LibraryView>[0]) =>
      splitter.decide(new LibraryView(request)),
  };
}
