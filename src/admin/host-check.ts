// Which names the admin port answers to. A page of the internet can point a name of its own at 127.0.0.1 and then
// read this port through a visitor's browser (DNS rebinding); it cannot make the browser send another Host field.
// So a name is answered only if no stranger can own it in the public DNS. Knows nothing of what is served.

import { isIP } from 'node:net';

// RFC 6761 §6.3 (localhost), the cluster's own zone, and ICANN's private-use zone (host.docker.internal).
const OWN_ZONES = ['.localhost', '.svc', '.svc.cluster.local', '.internal'];

const HOST = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?))(?::\d{1,5})?$/i;

/**
 * True for an IP address, a name without dots (localhost, a Service, a container), one in a zone that cannot be
 * registered, and `ownName` (the pod's host name). False when there is no Host, which HTTP/1.1 forbids, and for what is no
 * name at all.
 */
export function isOwnHost(hostField: string, ownName: string): boolean {
  const match = HOST.exec(hostField);
  if (match === null) return false;
  if (match[1] !== undefined) return isIP(match[1]) === 6;
  const name = match[2]!.toLowerCase().replace(/\.$/, '');
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
export function isFromOtherSite(
  host: string | null,
  fields: {
    readonly origin: string | undefined;
    readonly site: string | undefined;
    readonly mode: string | undefined;
  },
): boolean {
  if (fields.origin !== undefined && fields.origin !== `http://${host}`) return true;
  if (fields.site === undefined || fields.site === 'same-origin' || fields.site === 'none') return false;
  return fields.mode !== 'navigate';
}
