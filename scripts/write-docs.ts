// Writes the generated parts of the documentation: the option table, the flags, docs/schema.json, the failure codes, the
// directives of nginx, the index of decisions and the output of every command line. Run it after a change: `node scripts/write-docs.ts`. Tests
// compare the files with what it would write.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { jsonSchema, optionRows } from '../src/config/declaration.ts';
import { SETTINGS } from '../src/config/env.ts';
import { type DirectiveMeaning, directiveMeanings } from '../src/config/nginx/meanings.ts';
import { FAULTS } from '../src/errors.ts';
import { playExamples } from './examples.ts';

const root = join(import.meta.dirname, '..');

/** The files with generated text: all of a file, or the part between its markers. */
export const MANUAL = join(root, 'docs/configuration.md');
export const COMMANDS = join(root, 'docs/commands.md');
export const EXPERIMENTS = join(root, 'docs/experiments.md');
export const SCHEMA = join(root, 'docs/schema.json');
export const CODES = join(root, 'docs/failure-codes.md');
export const NGINX = join(root, 'docs/nginx.md');
export const DECISIONS = join(root, 'docs/decisions');

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

const namesOf = (meanings: readonly DirectiveMeaning[]): string =>
  meanings.map(({ name }) => `\`${name}\``).join(', ');

/** Every directive of nginx, by what becomes of it. */
function directiveTable(): string {
  const all = directiveMeanings();
  const of = (kind: DirectiveMeaning['kind']) => all.filter((one) => one.kind === kind);
  const rows = (kind: DirectiveMeaning['kind']) =>
    of(kind)
      .filter(({ reason }) => reason !== '')
      .map(({ name, reason }) => [`\`${name}\``, cell(reason)]);
  const refused = [...Map.groupBy(of('refused'), ({ reason }) => reason)].map(([reason, names]) => [
    namesOf(names),
    cell(reason),
  ]);
  return `**Kept as in nginx**: ${namesOf(of('kept'))}.

**Kept, with a difference**:

${table(['Directive', 'Difference'], rows('different'))}
**Without effect** on what is sent where, and named in one note at the start: ${namesOf(of('noted').filter(({ reason }) => reason === ''))}.

**Without effect at some values**:

${table(['Directive', 'Values'], rows('noted'))}
**Refused**, with the sentence in the right column:

${table(['Directives', 'Why, or what to do instead'], refused)}`;
}

const PARTS = { options: optionTable, flags: flagTable } as const;

/** The manual with its generated parts brought up to date. Throws if a marker is missing. */
export function renderManual(manual: string): string {
  return renderParts(manual, MANUAL, PARTS);
}

/** The page about nginx.conf with its table brought up to date. Throws if a marker is missing. */
export function renderNginx(page: string): string {
  return renderParts(page, NGINX, { directives: directiveTable });
}

function renderParts(page: string, path: string, parts: Readonly<Record<string, () => string>>): string {
  let text = page;
  for (const [name, render] of Object.entries(parts)) {
    const begin = `<!-- ${name}: written by scripts/write-docs.ts -->\n`;
    const end = `<!-- /${name} -->`;
    const from = text.indexOf(begin);
    const to = text.indexOf(end, from);
    if (from < 0 || to < 0) throw new Error(`${path} lacks the markers of "${name}"`);
    text = `${text.slice(0, from + begin.length)}\n${render()}\n${text.slice(to)}`;
  }
  return text;
}

/** The page of failure codes, brought up to date. */
export function renderCodes(): string {
  const rows = Object.entries(FAULTS).map(([name, { blame, status, sentence }]) => [
    `\`${name}\``,
    status === 0 ? 'none: cut' : String(status),
    blame,
    cell(sentence),
  ]);
  return `# Failure codes

Every way in which an exchange can fail. The \`x-splitter-error\` field of the response, the \`code\` label of the metrics and the log
use the same code. Codes are stable, so you can write alerts for them. Blame says who has to act. If the status is "none: cut", a
response had begun or no client is left to answer: the splitter closes the connection, so that no client takes a truncated response for
a complete one.

The text of the answer gives the cause in brackets after the meaning, and the log line has it in \`cause\`: the rule that a message broke
and the name of the field, never its value; the code of the operating system or of OpenSSL; or the option whose limit was exceeded. The
log may add details that a client must not see, such as the names in an upstream's certificate. \`/status\` has the last failure of
each address of an upstream, with its cause.

<!-- written by scripts/write-docs.ts -->

${table(['Code', 'Status', 'Blame', 'Meaning'], rows)}`;
}

/** The JSON Schema file, brought up to date. */
export function renderSchema(): string {
  return `${JSON.stringify(jsonSchema(), null, 2)}\n`;
}

/** The index of decisions. Throws if a decision lacks its title or its date. */
export function renderDecisions(): string {
  const rows = readdirSync(DECISIONS)
    .filter((file) => /^\d{4}-.*\.md$/.test(file))
    .sort()
    .map((file) => {
      const text = readFileSync(join(DECISIONS, file), 'utf8');
      const parts = /^# (\d+)[.:]? (.+)\n\nDate: (\d{4}-\d\d-\d\d)/.exec(text);
      if (parts === null)
        throw new Error(`${file}: expected "# N. Title", an empty line and "Date: YYYY-MM-DD"`);
      return [String(Number(parts[1])), `[${cell(parts[2]!)}](${file})`, parts[3]!];
    });
  return `# Decisions

One page for each question that others may ask again: the question, the options, the evidence and the choice. If a later decision
changes an earlier one, the earlier page says so.

<!-- written by scripts/write-docs.ts -->

${table(['Number', 'Decision', 'Date'], rows)}`;
}

if (import.meta.main) {
  writeFileSync(SCHEMA, renderSchema());
  writeFileSync(CODES, renderCodes());
  writeFileSync(NGINX, renderNginx(readFileSync(NGINX, 'utf8')));
  writeFileSync(join(DECISIONS, 'README.md'), renderDecisions());
  const played = [COMMANDS, EXPERIMENTS].map((path) => readFileSync(path, 'utf8'));
  const documents = [renderManual(readFileSync(MANUAL, 'utf8')), ...played];
  const [manual, commands, experiments] = playExamples(documents);
  writeFileSync(MANUAL, manual!);
  writeFileSync(COMMANDS, commands!);
  writeFileSync(EXPERIMENTS, experiments!);
}
