// Reads an nginx.conf of a test as `--nginx` does, with the files that it includes given as texts.
import { expect } from 'vitest';
import { parseNginx } from '../../src/config/nginx/translate.ts';
import { formatProblems } from '../../src/config/problem.ts';

export type Files = Record<string, string>;

/** Reads a text as nginx.conf, with these files to include. */
export const run = (text: string, files: Files = {}) => {
  const outcome = parseNginx(text, 'nginx.conf', {
    readInclude: (pattern) => {
      if (files[pattern] !== undefined) return [{ file: pattern, text: files[pattern] }];
      return pattern.includes('*') ? [] : { got: 'no such file' };
    },
  });
  return {
    config: outcome.config,
    problems: formatProblems(outcome.problems ?? []),
    findings: outcome.findings ?? [],
    // Every file that proxies gets one note about bodies; a test of its own looks at it.
    notes: outcome.translation?.notes.filter((note) => !note.startsWith('proxy_request_buffering:')),
    allNotes: outcome.translation?.notes ?? [],
    document: outcome.translation?.document,
    files: outcome.translation?.files,
  };
};

/** The same for a text that has no problems. */
export const good = (text: string, files: Files = {}) => {
  const outcome = run(text, files);
  expect(outcome.problems).toEqual([]);
  return { ...outcome, config: outcome.config!, document: outcome.document!, notes: outcome.notes! };
};

/** A file that asks upstream `a` at every path, with these directives in its http, server and location. */
export const asking = ({ http = '', server = '', location = '' }) =>
  `http { ${http} server { listen 80; ${server} location / { proxy_pass http://a; ${location} } } }`;
