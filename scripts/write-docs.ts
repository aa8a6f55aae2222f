// Writes what the documentation takes from the code: the option table, the flags, docs/schema.json and the output of
// every command line. Run it after a change: `node scripts/write-docs.ts`. Tests compare what stands there with what it
// would write.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { jsonSchema, optionRows } from '../src/config/declaration.ts';
import { SETTINGS } from '../src/config/env.ts';
import { FAULTS } from '../src/errors.ts';
import { playExamples } from './examples.ts';

const root = join(import.meta.dirname, '..');

/** Where each generated text stands: a whole file, or the part of one between its markers. */
export const MANUAL = join(root, 'docs/configuration.md');
export const COMMANDS = join(root, 'docs/commands.md');
export const SCHEMA = join(root, 'docs/schema.json');
export const CODES = join(root, 'docs/failure-codes.md');

const cell = (text: string): string => text.replaceAll('|', '\\|');
const code = (text: string): string => (text === '' || text === 'required' ? text : `\`${cell(text)}\``);

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`);
  return `${lines.join('\n')}\n`;
}

/** Every option of the file, as it is declared. */
function optionTable(): string {
  const rows = optionRows()
    // An upstream takes what upstreamDefaults takes: listed once.
    .filter(({ path }) => !path.startsWith('upstreams.*.') || /^upstreams\.\*\.(url|servers)\b/.test(path))
    .map((row) => {
      const values = row.range === '' ? cell(row.kind) : `${cell(row.kind)}, ${row.range}`;
      return [`\`${row.path}\``, values, code(row.default), cell(row.doc)];
    });
  return table(['Option', 'Value', 'Default', 'Meaning'], rows);
}

/** Every flag and its environment variable. */
function flagTable(): string {
  const rows = Object.values(SETTINGS).map(({ flag, argument, variable, doc }) => [
    `\`${flag} ${argument}\``,
    `\`${variable}\``,
    cell(doc),
  ]);
  return table(['Flag', 'Variable', 'Meaning'], rows);
}

const PARTS = { options: optionTable, flags: flagTable } as const;

/** The manual with its generated parts as they have to be. Throws when a marker is missing. */
export function renderManual(manual: string): string {
  let text = manual;
  for (const [name, render] of Object.entries(PARTS)) {
    const begin = `<!-- ${name}: written by scripts/write-docs.ts -->\n`;
    const end = `<!-- /${name} -->`;
    const from = text.indexOf(begin);
    const to = text.indexOf(end, from);
    if (from < 0 || to < 0) throw new Error(`${MANUAL} lacks the markers of "${name}"`);
    text = `${text.slice(0, from + begin.length)}\n${render()}\n${text.slice(to)}`;
  }
  return text;
}

/** The page of failure codes, as it has to be. */
export function renderCodes(): string {
  const rows = Object.entries(FAULTS).map(([name, { blame, status, sentence }]) => [
    `\`${name}\``,
    status === 0 ? 'none: cut' : String(status),
    blame,
    cell(sentence),
  ]);
  return `# Failure codes

Every way in which an exchange can fail. The same code stands in the \`x-splitter-error\` field of the response, in the \`code\`
label of the metrics and in the log. Codes are stable: alerts may be written against them. Blame says who has to act.
Where the status is "none: cut", a response had begun or nobody is left to answer: the connection is cut, so that no
client takes what it got for a whole answer.

What is known beyond the code, the cause, follows the meaning in brackets in the text of the answer, and stands in \`cause\` of the log line:
the rule that a message broke and the name of the field, never its value; the code of the operating system or of OpenSSL; or the
option whose limit was met. The log may add to it what a client must not see, such as the names of an upstream's certificate. For
each address of an upstream \`/status\` has the last failure with its cause.

<!-- written by scripts/write-docs.ts -->

${table(['Code', 'Status', 'Blame', 'Meaning'], rows)}`;
}

/** The JSON Schema file, as it has to be. */
export function renderSchema(): string {
  return `${JSON.stringify(jsonSchema(), null, 2)}\n`;
}

if (import.meta.main) {
  writeFileSync(SCHEMA, renderSchema());
  writeFileSync(CODES, renderCodes());
  const documents = [renderManual(readFileSync(MANUAL, 'utf8')), readFileSync(COMMANDS, 'utf8')];
  const [manual, commands] = playExamples(documents);
  writeFileSync(MANUAL, manual!);
  writeFileSync(COMMANDS, commands!);
}
