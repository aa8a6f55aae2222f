// The realip directives of an nginx.conf, as trustedProxies of the document. nginx has them in each block; here one answer
// holds for the whole file, so the blocks have to agree.
// Source: nginx's ngx_http_realip_module.c.

import { parseNetwork } from '../../ip-address.ts';
import { FROM_PROXY_PROTOCOL } from '../options/trusted-proxies.ts';
import { showGot } from '../problem.ts';
import { inheritedDirective, ownDirectives, type Scope } from './directives.ts';
import type { TranslationReport } from './report.ts';

/** What one block says, as the document has it; undefined where nobody is trusted. */
type Trusted = Record<string, unknown> | undefined;

/** What all blocks say together. */
export function readRealIp(scopes: readonly Scope[], report: TranslationReport): Trusted {
  let agreed: { readonly trusted: Trusted } | undefined;
  for (const scope of scopes) {
    const trusted = trustedIn(scope, report);
    agreed ??= { trusted };
    if (JSON.stringify(agreed.trusted) === JSON.stringify(trusted)) continue;
    const directive =
      inheritedDirective(scope, 'set_real_ip_from') ?? inheritedDirective(scope, 'real_ip_header');
    const at = directive?.name ?? scope.directives[0]?.name;
    if (at !== undefined) {
      const expected =
        'set_real_ip_from, real_ip_header and real_ip_recursive that are the same for all locations';
      report.fail(at, 'set_real_ip_from', expected, 'others');
    }
  }
  return agreed?.trusted;
}

function trustedIn(scope: Scope, report: TranslationReport): Trusted {
  const header = inheritedDirective(scope, 'real_ip_header');
  const recursive = inheritedDirective(scope, 'real_ip_recursive');
  const value = recursive?.words[0]?.text ?? 'off';
  if (!/^(?:on|off)$/.test(value))
    report.fail(recursive!.words[0]!, 'real_ip_recursive', 'on or off', showGot(value));
  let level: Scope | null = scope;
  while (level !== null && ownDirectives(level, 'set_real_ip_from').length === 0) level = level.parent;
  if (level === null) return undefined;
  const from: string[] = [];
  for (const { words } of ownDirectives(level, 'set_real_ip_from')) {
    const word = words[0]!;
    if (parseNetwork(word.text) !== undefined) from.push(word.text);
    else {
      const expected = 'an address or network like 10.0.0.0/8, or unix: (a name is not looked up)';
      report.fail(word, 'set_real_ip_from', expected, showGot(word.text));
    }
  }
  const name = header?.words[0]?.text ?? 'X-Real-IP';
  return {
    from,
    header: name === 'proxy_protocol' ? FROM_PROXY_PROTOCOL : name,
    recursive: value === 'on',
  };
}
