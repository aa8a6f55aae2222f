// Sends the same raw bytes to request-splitter, nginx and HAProxy, each with the same kind of upstream, and writes what
// each of them did to docs/conformance.md. `npx node test/conformance/run.ts` needs nginx and haproxy in PATH; the test
// of that page runs only our column.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RequestCase, ResponseCase } from './case.ts';
import { runRequestCase, runResponseCase } from './play.ts';
import { REQUEST_CASES } from './request-cases.ts';
import { RESPONSE_CASES } from './response-cases.ts';
import { type Subject, startHaproxy, startNginx, startOurs } from './subjects.ts';

const STRICT =
  'The grammar does not allow this; a proxy that repairs it guesses how the next parser reads it.';

const PAGE_START = `# What three proxies do with the same bytes

Made by \`npx node test/conformance/run.ts\`: it sends the same raw bytes to request-splitter, to nginx (\`proxy_pass\` with HTTP/1.1 and
upstream keep-alive) and to HAProxy (\`mode http\`, \`http-reuse always\`), each with the same kind of upstream. Only the rules and the
reasons are written by hand. "closes" means that the connection is closed after the response, "goes on" that the next request on it is
served.
`;

const inCell = (text: string) => text.replace(/\|/g, '\\|');

/** One line of a table. */
export const rowOf = (one: RequestCase | ResponseCase, cells: readonly string[]): string =>
  `| ${[one.rule, one.rfc.replace(/^(\d+)/, 'RFC $1'), ...cells].map(inCell).join(' | ')} |`;

async function tableOf<C extends RequestCase | ResponseCase>(
  subjects: readonly Subject[],
  cases: readonly C[],
  run: (subject: Subject, one: C) => Promise<string>,
): Promise<string> {
  const names = subjects.map(({ name }) => name);
  const lines = [
    `| what is sent | RFC | ${names.join(' | ')} |`,
    `| --- | --- | ${names.map(() => '---').join(' | ')} |`,
  ];
  const reasons: string[] = [];
  for (const one of cases) {
    const cells: string[] = [];
    for (const subject of subjects) cells.push(await run(subject, one));
    lines.push(rowOf(one, cells));
    const [ours, ...others] = cells;
    if (others.includes(ours!)) continue;
    reasons.push(`- *${one.rule}*: ${one.why ?? reasonFor(one, cells)}`);
  }
  return `${lines.join('\n')}\n\nWhere we differ from both:\n\n${reasons.join('\n')}\n`;
}

function reasonFor(one: RequestCase | ResponseCase, cells: readonly string[]): string {
  if (/^[45]\d\d/.test(cells[0]!)) return STRICT;
  // A page without the reason is worse than none, but all that lack one are told at once.
  console.error(`${one.rule}: we differ from both and no reason is given: ${cells.join(' | ')}`);
  process.exitCode = 1;
  return '';
}

async function main(): Promise<void> {
  const subjects = [await startOurs(), await startNginx(), await startHaproxy()];
  try {
    const requests = await tableOf(subjects, REQUEST_CASES, runRequestCase);
    const responses = await tableOf(subjects, RESPONSE_CASES, runResponseCase);
    const page = `${PAGE_START}\n## Requests\n\n${requests}\n## Responses\n\n${responses}`;
    writeFileSync(join(import.meta.dirname, '../../docs/conformance.md'), page);
  } finally {
    for (const subject of subjects) await subject.stop();
  }
}

if (import.meta.main) await main();
