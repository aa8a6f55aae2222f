// The options of a listening address: the address alone, or a map with TLS towards clients. Which certificate a server
// name gets is decided in downstream/certificates.

import * as z from 'zod/mini';
import type { ListenAddress } from '../listen-address.ts';
import { LISTEN_EXPECTED, listenAddress } from './addresses.ts';
import { choice, documented, filledList, flag, matching } from './values.ts';

const pemPath = () => matching(/^\//, 'the absolute path of a PEM file');

const pairOptions = {
  certificate: documented(
    z.optional(pemPath()),
    'Certificate chain of the server, its own certificate first.',
    'path',
  ),
  key: documented(z.optional(pemPath()), 'Private key of the certificate, not encrypted.', 'path'),
};

const PAIR_EXPECTED = 'certificate and key, both';

const named = z
  .strictObject({
    ...pairOptions,
    names: documented(
      z.optional(
        filledList(
          matching(
            /^(?:\*\.)?[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*$/,
            'a server name like shop.example or *.shop.example',
          ),
          'a list of server names like [shop.example, "*.shop.example"]',
          1000,
        ),
      ),
      'Server names (SNI) that get this certificate. Unset: the names in the certificate.',
      'list',
    ),
  })
  .check(
    z.refine(({ certificate, key }) => certificate !== undefined && key !== undefined, {
      error: PAIR_EXPECTED,
    }),
  );

/** One certificate with its key, and the server names that get it; absent = those in the certificate. */
export interface CertificatePair {
  readonly certificate: string;
  readonly key: string;
  readonly names?: readonly string[];
}

/** TLS of one listening address. The first certificate is also for clients that ask for no name, or for an unknown one. */
export interface ListenTls {
  readonly certificates: readonly CertificatePair[];
  readonly clientCa?: string | undefined;
  readonly clientCertificate: 'required' | 'optional';
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3';
}

const listenTls = z.pipe(
  z
    .strictObject({
      ...pairOptions,
      certificates: documented(
        z.optional(filledList(named, 'a list of certificates', 1000)),
        'Further certificates, chosen by the server name (SNI) that the client asks for. The first one of all is also for every other name.',
        'list',
      ),
      clientCa: documented(
        z.optional(pemPath()),
        'Authorities that sign the certificates of clients. Unset: no client is asked for one.',
        'path',
      ),
      clientCertificate: choice(['required', 'optional'], {
        default: 'required',
        doc: 'With `clientCa`: whether a client without a certificate is served. One that no authority in `clientCa` has signed, or that has expired, is refused in either case (400).',
      }),
      minVersion: choice(['TLSv1.2', 'TLSv1.3'], {
        default: 'TLSv1.2',
        doc: 'Lowest version of TLS that is spoken.',
      }),
    })
    .check(
      z.refine(
        ({ certificate, key, certificates }) =>
          (certificate === undefined) === (key === undefined) &&
          (certificate !== undefined || certificates !== undefined),
        { error: `${PAIR_EXPECTED}, or certificates` },
      ),
    ),
  z.transform(({ certificate, key, certificates = [], ...rest }): ListenTls => {
    const own = certificate === undefined || key === undefined ? [] : [{ certificate, key }];
    return { certificates: [...own, ...(certificates as readonly CertificatePair[])], ...rest };
  }),
);

/** An address with what is special about it. */
export type ListenOption = ListenAddress & {
  readonly tls?: ListenTls | undefined;
  readonly proxyProtocol?: boolean | undefined;
};

const withSettings = z.pipe(
  z.strictObject({
    address: documented(
      z.clone(listenAddress),
      'Address, as it is written where it stands alone.',
      'address',
    ),
    proxyProtocol: flag({
      default: false,
      doc: 'Every connection begins with a header of the PROXY protocol (version 1 or 2), as a load balancer sends it; others are closed. With `trustedProxies`, only the addresses in `trustedProxies.from` may connect.',
    }),
    tls: documented(z.optional(listenTls), 'TLS towards clients. Unset: plain text.', 'map'),
  }),
  z.transform(({ address, ...settings }): ListenOption => ({ ...address, ...settings })),
);

const plain = z.pipe(
  listenAddress,
  z.transform((address): ListenOption => address),
);

const LISTEN_OPTION_EXPECTED = `${LISTEN_EXPECTED}, or a map like { address: ":8443", tls: { certificate: /tls/tls.crt, key: /tls/tls.key } }`;

// A single address is a list of one, so that a problem names the entry that is wrong.
export const listenOptions = z.pipe(
  z.transform((value) => (Array.isArray(value) ? value : [value])),
  z
    .array(z.union([plain, withSettings], { error: LISTEN_OPTION_EXPECTED }))
    .check(z.minLength(1, { error: LISTEN_EXPECTED })),
);
