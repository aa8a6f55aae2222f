// The server_name directives of an nginx.conf: which names each server block has, as routes have them.
// Source: nginx's ngx_http_core_module.c, ngx_http_server_names in ngx_http.c.

import { showGot } from '../problem.ts';
import { readHostNames, type Scope } from './directives.ts';
import type { TranslationReport } from './report.ts';
import type { Directive } from './syntax.ts';

/** The names of each server. One that several have is the first one's, as in nginx. */
export function namesOf(
  servers: readonly { readonly scope: Scope }[],
  report: TranslationReport,
): string[][] {
  const taken = new Map<string, number>();
  return servers.map(({ scope }, index) =>
    readNames(scope.directives, report).filter((name) => {
      const id = name.startsWith('~') ? name : name.toLowerCase();
      const owner = taken.get(id);
      if (owner !== undefined && owner !== index)
        report.note(
          `server_name ${name}: several servers at one address have it; the first one keeps it, as in nginx`,
        );
      if (owner === undefined) taken.set(id, index);
      return owner === undefined;
    }),
  );
}

function readNames(directives: readonly Directive[], report: TranslationReport): string[] {
  const hosts: string[] = [];
  for (const word of directives
    .filter(({ name }) => name.text === 'server_name')
    .flatMap(({ words }) => words)) {
    const names = readHostNames(word.text);
    if (names !== undefined) hosts.push(...names);
    else
      report.fail(
        word,
        'server_name',
        'a name like shop.example, *.shop.example or shop.*, or a regular expression',
        showGot(word.text),
      );
  }
  return hosts;
}
