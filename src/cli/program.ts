// The command line as a whole: which commands there are, what --help says, and what an end of any kind means as an
// exit code. What a command does is in its own file.

import { Command, CommanderError } from 'commander';
import { SETTINGS } from '../config/env.ts';
import { DEFAULT_FILE } from '../config/load.ts';
import { didYouMean } from '../config/problem.ts';
import { VERSION } from '../telemetry/version.ts';
import { checkCommand } from './check.ts';
import { demoCommand } from './demo.ts';
import { explainCommand } from './explain.ts';
import { healthcheckCommand } from './healthcheck.ts';
import { importCommand } from './import.ts';
import { planCommand } from './plan.ts';
import { serveCommand } from './serve.ts';
import { simulateCommand } from './simulate.ts';
import type { Terminal } from './terminal.ts';

/** Exit codes: 0 good, 1 the answer is no (or it did not start), 2 wrong usage. */
const WRONG_USAGE = 2;

const SEE_HELP = '(request-splitter --help says what there is)';

/** Runs one command line, `argv` without node and script; gives the exit code. Throws only on a fault of its own. */
export async function runProgram(argv: readonly string[], terminal: Terminal): Promise<number> {
  const program = createProgram(terminal);
  const unknown = unknownCommand(argv, program);
  if (unknown !== null) {
    terminal.writeErr(`error: ${unknown}\n${SEE_HELP}\n`);
    return WRONG_USAGE;
  }
  try {
    await program.parseAsync(argv, { from: 'user' });
    return 0;
  } catch (cause) {
    if (!(cause instanceof CommanderError)) throw cause;
    // Commander's own ends: --help and --version with 0, everything it dislikes about the usage with 1.
    return cause.code.startsWith('commander.') && cause.exitCode !== 0 ? WRONG_USAGE : cause.exitCode;
  }
}

/** Commander would hand a word that is no command to `serve`, and complain of one argument too many. */
function unknownCommand([word = '']: readonly string[], program: Command): string | null {
  const names = program.commands.map((command) => command.name());
  if (word === '' || word.startsWith('-') || names.includes(word)) return null;
  return `expected one of the commands ${names.join(', ')}; got ${JSON.stringify(word)}${didYouMean(word, names)}`;
}

function createProgram(terminal: Terminal): Command {
  const program = new Command('request-splitter')
    .description(
      'Splits requests over upstreams by a token: the same token always to the same upstream, bit for bit as nginx split_clients does it. Without a command it serves.',
    )
    .version(VERSION, '-V, --version', 'print the version')
    .helpCommand(false)
    .addCommand(serveCommand(terminal), { isDefault: true })
    .addCommand(demoCommand(terminal))
    .addCommand(checkCommand(terminal))
    .addCommand(explainCommand(terminal))
    .addCommand(simulateCommand(terminal))
    .addCommand(planCommand(terminal))
    .addCommand(importCommand(terminal))
    .addCommand(healthcheckCommand(terminal))
    .addHelpText('after', helpEnding());
  for (const command of [program, ...program.commands]) {
    command
      .exitOverride()
      .helpOption('-h, --help', 'print this')
      .showHelpAfterError(SEE_HELP)
      .configureOutput({
        writeOut: (text) => terminal.writeOut(text),
        writeErr: (text) => terminal.writeErr(text),
      });
  }
  return program;
}

function helpEnding(): string {
  const settings = Object.values(SETTINGS);
  const width = Math.max(...settings.map(({ variable }) => variable.length)) + 2;
  const wrapped = settings.map(({ variable, doc }) => {
    const [first, ...more] = wrap(doc, 76 - width);
    return [`  ${variable.padEnd(width)}${first}`, ...more.map((line) => `${' '.repeat(width + 2)}${line}`)];
  });
  return `
Environment (the flag of the same meaning goes before it, the file behind it):
${wrapped.flat().join('\n')}

Examples:
  request-splitter demo
  SPLIT='50% http://backend; * http://backend-experiment' request-splitter
  request-splitter --config splitter.yaml
  request-splitter check splitter.yaml

Exit codes: 0 good, 1 the answer is no or it did not start, 2 wrong usage.
Without CONFIG, ${DEFAULT_FILE} is read where it exists.`;
}

function wrap(text: string, width: number): string[] {
  const lines = [''];
  for (const word of text.split(' ')) {
    const line = lines.at(-1)!;
    if (line !== '' && line.length + 1 + word.length > width) lines.push(word);
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`;
  }
  return lines;
}
