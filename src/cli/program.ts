// The command line as a whole: which commands there are, what --help says, and what an end of any kind means as an
// exit code. What a command does is in its own file.

import { Command, CommanderError } from 'commander';
import { SETTINGS } from '../config/env.ts';
import { DEFAULT_FILE } from '../config/load.ts';
import { didYouMean } from '../config/problem.ts';
import { VERSION } from '../telemetry/version.ts';
import type { Terminal } from './terminal.ts';

/** Every command, in the order of the help. Each is loaded when it is called, so that `serve` holds none of the others. */
const COMMANDS: Readonly<Record<string, () => Promise<(terminal: Terminal) => Command>>> = {
  serve: async () => (await import('./serve.ts')).serveCommand,
  demo: async () => (await import('./demo.ts')).demoCommand,
  check: async () => (await import('./check.ts')).checkCommand,
  explain: async () => (await import('./explain.ts')).explainCommand,
  simulate: async () => (await import('./simulate.ts')).simulateCommand,
  plan: async () => (await import('./plan.ts')).planCommand,
  import: async () => (await import('./import.ts')).importCommand,
  healthcheck: async () => (await import('./healthcheck.ts')).healthcheckCommand,
};
const NAMES = Object.keys(COMMANDS);
const DEFAULT_COMMAND = 'serve';

/** Exit codes: 0 good, 1 the answer is no (or it did not start), 2 wrong usage. */
const WRONG_USAGE = 2;

const SEE_HELP = '(request-splitter --help says what there is)';

/** Runs one command line, `argv` without node and script; gives the exit code. Throws only on a fault of its own. */
export async function runProgram(argv: readonly string[], terminal: Terminal): Promise<number> {
  const unknown = unknownCommand(argv);
  if (unknown !== null) {
    terminal.writeErr(`error: ${unknown}\n${SEE_HELP}\n`);
    return WRONG_USAGE;
  }
  const program = await createProgram(terminal, calledBy(argv));
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
function unknownCommand([word = '']: readonly string[]): string | null {
  if (word === '' || word.startsWith('-') || NAMES.includes(word)) return null;
  return `expected one of the commands ${NAMES.join(', ')}; got ${JSON.stringify(word)}${didYouMean(word, NAMES)}`;
}

/** Names of the commands that a command line needs: the one that it calls, or all where their list may be printed. */
function calledBy(argv: readonly string[]): readonly string[] {
  if (argv.some((word) => /^--?h/.test(word))) return NAMES;
  const [word = ''] = argv;
  return [NAMES.includes(word) ? word : DEFAULT_COMMAND];
}

async function createProgram(terminal: Terminal, names: readonly string[]): Promise<Command> {
  const program = new Command('request-splitter')
    .description(
      'Splits requests over upstreams by a token: the same token always to the same upstream, bit for bit as nginx split_clients does it. Without a command it serves.',
    )
    .version(VERSION, '-V, --version', 'print the version')
    .helpCommand(false)
    .addHelpText('after', helpEnding);
  for (const name of names) {
    const makeCommand = await COMMANDS[name]!();
    program.addCommand(makeCommand(terminal), { isDefault: name === DEFAULT_COMMAND });
  }
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
