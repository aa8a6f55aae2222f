// Headers of the PROXY protocol as load balancers write them, byte by byte. Source: the protocol's specification §2.

const SIGNATURE = '\r\n\r\n\0\r\nQUIT\n';

/** A header of version 2: command and family bytes, then what follows the length. */
export function binaryHeader(command: number, family: number, body: Buffer, length = body.length): Buffer {
  const head = Buffer.alloc(16);
  head.write(SIGNATURE, 'latin1');
  head[12] = command;
  head[13] = family;
  head.writeUInt16BE(length, 14);
  return Buffer.concat([head, body]);
}

/** Source 192.0.2.7:56324, target 10.0.0.9:443. */
export const IPV4_BODY = Buffer.from([192, 0, 2, 7, 10, 0, 0, 9, 0xdc, 0x04, 0x01, 0xbb]);
/** Source [2001:db8::7]:56324, target [2001:db8::9]:443. */
export const IPV6_BODY = Buffer.from(
  '20010db8000000000000000000000007' + '20010db8000000000000000000000009' + 'dc0401bb',
  'hex',
);
/** A NOOP TLV of three bytes. */
export const NOOP = Buffer.from([4, 0, 3, 0, 0, 0]);
