// What to write in place of a variable that key texts do not have: the one that was probably meant, or, for a variable
// that only nginx has, what serves its purpose here. Read for messages alone.

import { nearest } from '../did-you-mean.ts';
import { writeVariable } from './key-text.ts';
import { fixedNames } from './known-variables.ts';
import { isNginxVariable } from './nginx-names.ts';
import { PREFIXED_VARIABLES } from './variables.ts';

/** What people write, and what it is called here. */
const OTHER_NAMES: ReadonlyMap<string, string> = new Map([
  ['query', 'args'],
  ['path', 'uri'],
  ['method', 'request_method'],
  ['ip', 'remote_addr'],
  ['client_ip', 'remote_addr'],
  ['header_', 'http_'],
  ['query_', 'arg_'],
  ['param_', 'arg_'],
]);

/** The end of a message about a variable that is not known here; empty where nothing helps. */
export function hintFor(name: string): string {
  // A name of nginx was meant as it is: a guess would split by something else.
  if (isNginxVariable(name)) {
    return `; nginx has $${name} but it cannot be used here: ${nginxRemedy(name)}`;
  }
  const meant = meantVariable(name);
  return meant === undefined ? '' : ` (did you mean "${writeVariable(meant)}"?)`;
}

/** What serves the purpose of a variable that only nginx has. */
const NGINX_REMEDIES: readonly (readonly [name: RegExp, remedy: string])[] = [
  [
    /^(?:session_log_|otel_)/,
    'it differs from request to request. For a random split use $request_id; for clients that keep their variant end the key list with { mint: uid }',
  ],
  [
    /^(?:request_body|request_body_file)$/,
    'the text is made before the body is read. Put the value into the query or a header or a cookie',
  ],
  [/^proxy_protocol_tlv_/, 'the TLVs of a PROXY header are not read. Use $proxy_protocol_addr'],
  [/^(?:request_filename|document_root|realpath_root|fastcgi_)/, 'use $uri'],
  [/^(?:proxy_host|proxy_port)$/, 'the variant decides the upstream. Use $host'],
  [
    /^(?:server_name$|nginx_version$|http2$|http3$)/,
    'it is the same for most requests. Use $host if the splitter serves several hosts',
  ],
  [
    /^(?:sent_|upstream_|status$|body_bytes_sent$|bytes_|request_completion$|gzip_ratio$|tcpinfo_)/,
    'it is known only after the upstream has answered',
  ],
  [/^uid_/, 'end the key list with { mint: uid }'],
];

function nginxRemedy(name: string): string {
  const known = NGINX_REMEDIES.find(([names]) => names.test(name))?.[1];
  return known ?? 'let the proxy that knows it put it into a header and use $http_NAME';
}

/** The variable that was most likely meant. */
function meantVariable(name: string): string | undefined {
  if (name === '') return undefined;
  const same = OTHER_NAMES.get(name);
  if (same !== undefined) return same;
  if (PREFIXED_VARIABLES.has(`${name}_`) || PREFIXED_VARIABLES.has(name))
    return `${name.replace(/_$/, '')}_token`;
  const cut = name.indexOf('_') + 1;
  const [prefix, own] = [name.slice(0, cut), name.slice(cut)];
  if (own !== '') {
    const known = OTHER_NAMES.get(prefix) ?? nearest(prefix, PREFIXED_VARIABLES.keys(), 2);
    if (known !== undefined) return known + own;
  }
  for (const known of PREFIXED_VARIABLES.keys()) {
    const bare = known.slice(0, -1);
    if (name.startsWith(bare)) return known + name.slice(bare.length).replace(/^[-.~]/, '');
  }
  return nearest(name, fixedNames(), 1 + Math.floor(name.length / 4));
}
