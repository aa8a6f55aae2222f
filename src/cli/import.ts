// `import nginx.conf`: prints the YAML that does what an nginx.conf does, or every line that cannot be kept. What was left
// out is in comments at its top. Writes no file and changes nothing.

import { Command, CommanderError } from 'commander';
import { stringify } from 'yaml';
import { warningLines } from '../config/findings.ts';
import { translateNginx } from '../config/load.ts';
import { printProblems } from './problems.ts';
import type { Terminal } from './terminal.ts';

/** The command, ready to be added to the program. */
export function importCommand(terminal: Terminal): Command {
  return new Command('import')
    .summary('convert an nginx.conf to YAML')
    .description(
      'Prints the YAML file that does what an nginx.conf with split_clients and its includes do. Exit code 1 if a directive cannot be kept; each is reported with file and line.',
    )
    .argument('<FILE>', 'nginx.conf to read')
    .action(async (file: string) => {
      const { problems, findings = [], translation } = await translateNginx(file);
      if (problems !== undefined || translation === undefined) {
        printProblems(terminal, problems ?? []);
        throw new CommanderError(1, 'request-splitter.notGood', '');
      }
      const warnings = warningLines(findings).map((warning) => `warning: ${warning}`);
      const comments = [`made from ${file}`, ...translation.notes, ...warnings].map((note) => `# ${note}\n`);
      const text = stringify(translation.document, { lineWidth: 100, defaultStringType: 'PLAIN' });
      terminal.writeOut(`${comments.join('')}${text}`);
    });
}
