// Runs the examples of the documentation: writes the named files (a block whose first line is "# NAME") into an empty
// directory, runs every "$ …" line of the console blocks there with a shell, and inserts the real output after each.

import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const SOURCE = join(import.meta.dirname, '../src/main.ts');

/** The documents with true output in their console blocks; files and commands of all of them share one directory. */
export function playExamples(documents: readonly string[], main = SOURCE): string[] {
  const folder = mkdtempSync(join(tmpdir(), 'examples-'));
  try {
    mkdirSync(join(folder, '.bin'));
    const program = join(folder, '.bin/request-splitter');
    writeFileSync(program, `#!/bin/sh\nexec "${process.execPath}" "${main}" "$@"\n`);
    chmodSync(program, 0o755);
    for (const document of documents) {
      for (const [, text, name] of document.matchAll(/^```(?:yaml|nginx)\n(# (\S+)\n[\s\S]*?)^```$/gm)) {
        writeFileSync(join(folder, name!), text!);
      }
    }
    return documents.map((document) =>
      document.replace(
        /^```console\n([\s\S]*?)^```$/gm,
        (_, block: string) => `\`\`\`console\n${play(block, folder)}\`\`\``,
      ),
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** One console block: its commands, each followed by what it writes. A command ends where its line does not end with "\". */
function play(block: string, folder: string): string {
  const commands = [...block.matchAll(/^\$ ((?:[^\n]*\\\n)*[^\n]*)$/gm)].map((match) => match[1]!);
  // One shell for the block, so that "echo $?" tells of the line before; each line's output ends with a mark.
  const script = commands.map((command) => `(exit $last)\n${command}\nlast=$?\nprintf '\\001'`).join('\n');
  const { stdout } = spawnSync('sh', ['-c', `exec 2>&1; last=0\n${script}`], {
    cwd: folder,
    env: { PATH: `${join(folder, '.bin')}:${process.env.PATH}` },
    encoding: 'utf8',
  });
  const outputs = stdout.split('\u0001');
  return commands.map((command, index) => `$ ${command}\n${outputs[index] ?? ''}`).join('');
}
