// Checks what a configuration says about proxies before the splitter, which name the clients of requests. Whom to believe
// is the user's decision; here is only what cannot work.

import type { CheckReport, Written } from '../findings.ts';
import { FROM_PROXY_PROTOCOL } from '../options/trusted-proxies.ts';
import { showGot } from '../problem.ts';

/** The PROXY protocol needs an address that takes it, and its header is believed only where somebody is trusted. */
export function checkClients({ raw, document, isTranslated }: Written, report: CheckReport): void {
  const { trustedProxies, listen } = document;
  const index = listen.findIndex(({ proxyProtocol }) => proxyProtocol === true);
  const reads = trustedProxies?.header === FROM_PROXY_PROTOCOL;
  if (reads && index < 0) {
    const expected = 'a field name, because no address in listen has proxyProtocol';
    report.problem(['trustedProxies', 'header'], expected, showGot(FROM_PROXY_PROTOCOL));
  }
  if (index < 0 || reads || isTranslated) return;
  const path = Array.isArray(raw.listen) ? ['listen', index, 'proxyProtocol'] : ['listen', 'proxyProtocol'];
  report.warn(
    path,
    'only removes the header: set trustedProxies with header: proxyProtocol to make the address in it the client',
  );
}
