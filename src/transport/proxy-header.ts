// The header of the PROXY protocol, versions 1 and 2: bytes at the start of a connection that say whose connection it is.
// Strict: what is not exactly one of the two forms is refused, and nothing is skipped in search of one. Pure.
// Sources: haproxy.org/download/3.0/doc/proxy-protocol.txt; nginx's ngx_proxy_protocol.c, whose limits these are.

import { type ProxyHeader, spelledAddress } from '../ip-address.ts';

/** What the bytes so far are: the beginning of a header, a whole one that ends at `end`, or none, with the reason. */
export type ProxyHeaderRead =
  | { readonly kind: 'incomplete' }
  | { readonly kind: 'refused'; readonly why: string }
  /** `header` is null where it names no address: LOCAL, UNKNOWN, a Unix socket, or a datagram. */
  | { readonly kind: 'read'; readonly end: number; readonly header: ProxyHeader | null };

const PREFIX_V1 = Buffer.from('PROXY ');
const SIGNATURE_V2 = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
/** Longest header of version 1, with its line end. */
const BYTES_MAX_V1 = 107;
/** Longest header of version 2, with all its TLVs. */
export const PROXY_HEADER_BYTES_MAX = 4096;
const FIXED_BYTES_V2 = 16;

const INCOMPLETE_HEADER: ProxyHeaderRead = { kind: 'incomplete' };
const refuseHeader = (why: string): ProxyHeaderRead => ({ kind: 'refused', why });

/** Reads the header at the start of `bytes`, all that a connection has sent so far. */
export function readProxyHeader(bytes: Buffer): ProxyHeaderRead {
  if (startsAlike(bytes, PREFIX_V1)) return readLineHeader(bytes);
  if (startsAlike(bytes, SIGNATURE_V2)) return readBinaryHeader(bytes);
  return refuseHeader('the connection does not begin with a PROXY header');
}

function startsAlike(bytes: Buffer, start: Buffer): boolean {
  const length = Math.min(bytes.length, start.length);
  return bytes.compare(start, 0, length, 0, length) === 0;
}

const PORT = '(0|[1-9]\\d{0,4})';
const TEXT_HEADER = new RegExp(`^PROXY TCP([46]) ([0-9A-Fa-f.:]+) ([0-9A-Fa-f.:]+) ${PORT} ${PORT}$`);

function readLineHeader(bytes: Buffer): ProxyHeaderRead {
  const end = bytes.indexOf('\r\n', 0, 'latin1') + 2;
  if (end < 2 || end > BYTES_MAX_V1)
    return end < 2 && bytes.length < BYTES_MAX_V1
      ? INCOMPLETE_HEADER
      : refuseHeader(`the PROXY line is longer than ${BYTES_MAX_V1} bytes`);
  const line = bytes.toString('latin1', 0, end - 2);
  if (/^PROXY UNKNOWN(?: |$)/.test(line)) return { kind: 'read', end, header: null };
  const [, family, source = '', target = '', sourcePort, targetPort] = TEXT_HEADER.exec(line) ?? [];
  const isSix = family === '6';
  const isRight = source.includes(':') === isSix && target.includes(':') === isSix;
  const address = spelledAddress(source);
  const serverAddress = spelledAddress(target);
  const ports = [Number(sourcePort), Number(targetPort)] as const;
  if (!isRight || address === undefined || serverAddress === undefined || Math.max(...ports) > 65_535)
    return refuseHeader('the PROXY line is malformed');
  return { kind: 'read', end, header: { address, port: ports[0], serverAddress, serverPort: ports[1] } };
}

const COMMAND = { local: 0x20, proxy: 0x21 } as const;
/** A stream over IPv4 or IPv6, and the bytes of an address. */
const FAMILY_BYTES: ReadonlyMap<number, number> = new Map([
  [0x11, 4],
  [0x21, 16],
]);
/** The other families and kinds that there are: their addresses are skipped. */
const OTHER_FAMILIES: ReadonlySet<number> = new Set([0x00, 0x12, 0x22, 0x31, 0x32]);

function readBinaryHeader(bytes: Buffer): ProxyHeaderRead {
  const command = bytes[12];
  if (command !== undefined && command !== COMMAND.local && command !== COMMAND.proxy)
    return refuseHeader('the PROXY header has another version than 1 and 2, or an unknown command');
  const family = bytes[13];
  if (family !== undefined && !FAMILY_BYTES.has(family) && !OTHER_FAMILIES.has(family))
    return refuseHeader('the PROXY header has an unknown address family');
  if (bytes.length < FIXED_BYTES_V2) return INCOMPLETE_HEADER;
  const end = FIXED_BYTES_V2 + bytes.readUInt16BE(14);
  if (end > PROXY_HEADER_BYTES_MAX)
    return refuseHeader(`the PROXY header is longer than ${PROXY_HEADER_BYTES_MAX} bytes`);
  const size = FAMILY_BYTES.get(family!);
  const isAddressed = command === COMMAND.proxy && size !== undefined;
  if (isAddressed && end < FIXED_BYTES_V2 + 2 * size + 4)
    return refuseHeader('the PROXY header is too short for its addresses');
  if (bytes.length < end) return INCOMPLETE_HEADER;
  if (!isAddressed) return { kind: 'read', end, header: null };
  const ports = FIXED_BYTES_V2 + 2 * size;
  return {
    kind: 'read',
    end,
    header: {
      address: addressText(bytes.subarray(FIXED_BYTES_V2, FIXED_BYTES_V2 + size)),
      port: bytes.readUInt16BE(ports),
      serverAddress: addressText(bytes.subarray(FIXED_BYTES_V2 + size, ports)),
      serverPort: bytes.readUInt16BE(ports + 2),
    },
  };
}

function addressText(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join('.');
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16));
  return spelledAddress(groups.join(':'))!;
}
