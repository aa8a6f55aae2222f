// Says why the splitter could not listen on its addresses and what to do about it, one line for each, so that one try
// reports all of them. The commands that open ports share it; the codes are those of listen(2) and bind(2).

import { createServer } from 'node:net';
import { formatAddress } from '../admin/effective-config.ts';
import type { ListenAddress } from '../config/listen-address.ts';
import type { Config } from '../config/options/document.ts';

/** Which port it is, and how another one is chosen. */
const PORTS = {
  downstream: { name: 'the port for requests', flag: '--listen', variable: 'LISTEN' },
  admin: { name: 'the admin port', flag: '--admin', variable: 'ADMIN' },
} as const;

type Port = keyof typeof PORTS;

/** The address on which the start failed. */
interface Failed {
  readonly address: string;
  readonly port: Port;
  readonly cause: NodeJS.ErrnoException;
}

/**
 * Lines without a last line end: one for the address that failed, and one for each further address of `config` that is
 * taken as well. `command` is how the user would call it again; null where that is not known.
 */
export async function describeListenFailure(
  failed: Failed,
  config: Pick<Config, 'listen' | 'admin'>,
  command: string | null,
): Promise<string> {
  const others = config.listen.map((address) => ({ address, port: 'downstream' as const }));
  const all: Failed[] = [failed];
  for (const { address, port } of others) {
    const name = formatAddress(address);
    if (name === failed.address && port === failed.port) continue;
    const cause = await whyNot(address);
    if (cause !== null) all.push({ address: name, port, cause });
  }
  return all.map((one) => describeFailed(one, command)).join('\n');
}

function describeFailed({ address, port, cause }: Failed, command: string | null): string {
  const { name, flag, variable } = PORTS[port];
  const number = Number(/:(\d+)$/.exec(address)?.[1] ?? 0);
  const next = `${address.slice(0, address.lastIndexOf(':') + 1)}${number + 1}`;
  const again = command === null || number === 0 ? '' : `, like this: ${command} ${flag} ${next}`;
  return `request-splitter: cannot listen on ${address} (${name}): ${listenReason(cause)}choose another address with ${flag} or ${variable}${again}`;
}

function listenReason({ code, message }: NodeJS.ErrnoException): string {
  switch (code) {
    case 'EADDRINUSE':
      return 'another program uses it. Stop that program, or ';
    case 'EACCES':
      return 'this user may not open it (ports below 1024 and directories of other users need permission). Grant it, or ';
    case 'EADDRNOTAVAIL':
      return 'this machine has no such address; ';
    default:
      return `${message}; `;
  }
}

/** Why an address cannot be listened on, found by trying for a moment; null where it can. Sockets are not tried. */
function whyNot({ host, port, path }: ListenAddress): Promise<NodeJS.ErrnoException | null> {
  if (path !== null || port === 0) return Promise.resolve(null);
  const { promise, resolve } = Promise.withResolvers<NodeJS.ErrnoException | null>();
  const server = createServer();
  server.once('error', resolve);
  server.listen({ port, ...(host === null ? {} : { host }) }, () => server.close(() => resolve(null)));
  return promise;
}
