// Says in one sentence why an address could not be listened on and what to do about it. The commands that open
// ports share it; the codes are those of listen(2) and bind(2).

/** Which port it is, and how another one is chosen. */
const PORTS = {
  downstream: { name: 'the port for requests', flag: '--listen', variable: 'LISTEN' },
  admin: { name: 'the admin port', flag: '--admin', variable: 'ADMIN' },
} as const;

/** One line without a line end: "cannot listen on :8888 (the port for requests): …". */
export function describeListenFailure(
  address: string,
  port: keyof typeof PORTS,
  cause: NodeJS.ErrnoException,
): string {
  const { name, flag, variable } = PORTS[port];
  return `cannot listen on ${address} (${name}): ${reasonOf(cause)}; choose another with ${flag} or ${variable}`;
}

function reasonOf({ code, message }: NodeJS.ErrnoException): string {
  switch (code) {
    case 'EADDRINUSE':
      return 'another program has it; stop that one';
    case 'EACCES':
      return 'this user may not have it (ports below 1024 and foreign directories need a right)';
    case 'EADDRNOTAVAIL':
      return 'this machine has no such address';
    default:
      return message;
  }
}
