// What is different from nginx on purpose, for the comparison of whole files: where, how, and why.

/** The part of an outcome that an entry looks at. */
interface Compared {
  readonly status: string;
  readonly fields: readonly string[];
  readonly body: unknown;
}

/** One difference that is meant. */
interface Difference {
  readonly file: RegExp;
  readonly request: RegExp;
  readonly isSo: (nginx: Compared, here: Compared) => boolean;
  readonly reason: string;
}

const seenFields = ({ body }: Compared): readonly string[] =>
  (body as { readonly fields?: readonly string[] } | null)?.fields ?? [];

export const DELIBERATE: readonly Difference[] = [
  {
    file: /^chunked-upload$/,
    request: /chunked/,
    isSo: (nginx, here) =>
      seenFields(nginx).includes('content-length: 5') &&
      seenFields(here).includes('transfer-encoding: chunked'),
    reason: 'bodies pass as they arrive; nginx reads a chunked one whole and sends its length',
  },
  {
    file: /^methods$/,
    request: /^(?:TRACE|CONNECT) /,
    isSo: (nginx, here) => nginx.status === '405' && here.fields.some((field) => field.startsWith('allow: ')),
    reason: 'RFC 9110 §15.5.6 demands Allow in a 405',
  },
  {
    file: /^odd-field-names$/,
    request: /X_Under/,
    isSo: (nginx, here) =>
      JSON.stringify(seenFields(nginx)) ===
      JSON.stringify(seenFields(here).filter((field) => !/^x[._]/.test(field))),
    reason:
      'field names with other characters than letters, digits and "-" pass; nginx drops them by default',
  },
];
