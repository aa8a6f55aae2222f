// The tables of directives are complete, and docs/nginx.md is what they say.
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { NGINX, renderNginx } from '../../../../scripts/write-docs.ts';
import { directiveMeanings } from '../../../../src/config/nginx/meanings.ts';
import { asking, run } from '../../../support/nginx-conf.ts';

it('docs/nginx.md has the directives of today (node scripts/write-docs.ts writes them)', () => {
  const page = readFileSync(NGINX, 'utf8');
  expect(renderNginx(page)).toBe(page);
});

it('every directive of nginx that is refused says what to do instead', () => {
  const silent = directiveMeanings().filter(({ kind, reason }) => kind === 'refused' && reason === '');
  expect(silent.map(({ name }) => name)).toEqual([]);
});

it('what the tables call refused is refused, with their sentence', () => {
  const refused = directiveMeanings().filter(({ kind }) => kind === 'refused');
  expect(refused.length).toBeGreaterThan(300);
  for (const { name, reason } of refused) {
    // Blocks of nginx's other protocols stand outside http.
    const { problems } = run(asking({ server: `${name} some value;` }));
    expect([name, problems.join('\n')]).toEqual([name, expect.stringContaining(`(${reason})`)]);
  }
});

it('what the tables call without effect is named in the note', () => {
  const noted = directiveMeanings().filter(({ kind, reason }) => kind === 'noted' && reason === '');
  for (const { name } of noted) {
    const outcomes = [
      run(asking({ http: `${name} x;` })),
      run(`${name} x; ${asking({})}`),
      run(asking({ http: `upstream a { server b; ${name} x; }` })),
    ];
    expect([
      name,
      outcomes.some(({ notes, problems }) => problems.length === 0 && notes?.join().includes(name)),
    ]).toEqual([name, true]);
  }
});
