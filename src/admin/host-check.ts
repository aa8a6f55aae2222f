// Which names the admin port answers to. A page of the internet can point a name of its own at 127.0.0.1 and then
// read this port through a visitor's browser (DNS rebinding); it cannot make the browser send another Host field.
// So a name is answered only if no stranger can own it in the public DNS. Knows nothing of what is served.

import { isIP } from 'node:net';

// RFC 6761 §6.3 (localhost), the cluster's own zone, and ICANN's private-use zone (host.docker.internal).
const OWN_ZONES = ['.localhost', '.svc', '.svc.cluster.local', '.internal'];

/**
 * True for an IP address, a name without dots (localhost, a Service, a container), one in a zone that cannot be
 * registered, and `ownName` (the pod's host name). False when there is no Host, which HTTP/1.1 forbids.
 */
export function isOwnHost(hostField: string | undefined, ownName: string): boolean {
  const match = /^(?:\[([^\]]*)\]|([^:]*))(?::\d*)?$/.exec(hostField ?? '');
  if (match === null) return false;
  if (match[1] !== undefined) return isIP(match[1]) === 6;
  const name = match[2]!.toLowerCase().replace(/\.$/, '');
  if (name === '') return false;
  return (
    isIP(name) === 4 ||
    !name.includes('.') ||
    name === ownName.toLowerCase() ||
    OWN_ZONES.some((zone) => name.endsWith(zone))
  );
}

/**
 * True when a page of another origin asks: a fetch that carries its Origin, or anything but a link followed by a person.
 * Without these fields (curl, Prometheus, the kubelet) nobody's browser is involved.
 */
export function isFromOtherSite(fields: {
  readonly host?: string | undefined;
  readonly origin?: string | undefined;
  readonly 'sec-fetch-site'?: string | string[] | undefined;
  readonly 'sec-fetch-mode'?: string | string[] | undefined;
}): boolean {
  if (fields.origin !== undefined && fields.origin !== `http://${fields.host}`) return true;
  const site = fields['sec-fetch-site'];
  if (site === undefined || site === 'same-origin' || site === 'none') return false;
  return fields['sec-fetch-mode'] !== 'navigate';
}
