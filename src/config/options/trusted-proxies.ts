// The options of trustedProxies: which proxies may say whose request they pass on, and where they say it. How the client
// is found is in routing/trusted-proxies.

import * as z from 'zod/mini';
import { type Network, parseNetwork } from '../../ip-address.ts';
import { documented, filledList, flag, matching, textRead } from './values.ts';

/** The value of `header` that stands for the PROXY protocol. */
export const FROM_PROXY_PROTOCOL = 'proxyProtocol';

const network = textRead<Network | null>(
  'an address or network like 10.1.2.3, 10.0.0.0/8 or fd00::/8, or unix:',
  parseNetwork,
);

/** Proxies before the splitter that are believed. */
export const trustedProxies = z.strictObject({
  from: documented(
    filledList(network, 'a list of addresses and networks like ["10.0.0.0/8"]', 1000),
    'Addresses and networks of the proxies; `unix:` is every Unix socket. What others say is ignored, and a connection of others with a PROXY header is closed.',
    'networks',
  ),
  header: documented(
    z._default(
      matching(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$/, 'the name of a field, or proxyProtocol'),
      'X-Forwarded-For',
    ),
    'Field that names the client, as its last address; or `proxyProtocol`.',
    'field name | proxyProtocol',
  ),
  recursive: flag({
    default: true,
    doc: 'Also skips the addresses in the field that are in `from`: the client is the last one that is not. False: it is the last one.',
  }),
});

/** Options of trustedProxies, defaults filled in. */
export type TrustedProxiesConfig = z.output<typeof trustedProxies>;
