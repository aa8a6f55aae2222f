// The command line as a whole: which commands there are, what --help says, and what an end of any kind means as an
// exit code. What a command does is in its own file.

import { Command, CommanderError } from 'commander';
import { SETTINGS } from '../config/env.ts';
import { DEFAULT_FILE } from '../config/load.ts';
import { didYouMean } from '../did-you-mean.ts';
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
  fleet: async () => (await import('./fleet.ts')).fleetCommand,
  import: async () => (await import('./import.ts')).importCommand,
  healthcheck: async () => (await import('./healthcheck.ts')).healthcheckCommand,
  completion: async () => (await import('./completion.ts')).completionCommand,
};
const NAMES = Object.keys(COMMANDS);
const DEFAULT_COMMAND = 'serve';

/** Exit codes: 0 good, 1 the answer is no (or it did not start), 2 wrong usage. */
const WRONG_USAGE = 2;

const COLUMNS_MIN = 40;
const COLUMNS_MAX = 80;

const SEE_HELP = '(see request-splitter --help)';

/** Runs one command line, `words` without node and script; gives the exit code. Throws only on a fault of its own. */
export async function runProgram(words: readonly string[], terminal: Terminal): Promise<number> {
  const argv = asFlags(words);
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

/** `help`, `help COMMAND`, `version` and `-v` as the flags that mean the same. */
function asFlags(words: readonly string[]): readonly string[] {
  const [first, second, ...more] = words;
  if (first === 'version' || first === '-v') return second === undefined ? ['--version'] : words;
  if (first !== 'help') return words;
  if (second === undefined || second.startsWith('-') || second === 'help') return ['--help'];
  return [second, ...more, '--help'];
}

/** Commander would hand a word that is no command to `serve`, and complain of one argument too many. */
function unknownCommand([word = '']: readonly string[]): string | null {
  if (word === '' || word.startsWith('-') || NAMES.includes(word)) return null;
  const known = [...NAMES, 'help', 'version'];
  return `expected one of the commands ${known.join(', ')}; got ${JSON.stringify(word)}${didYouMean(word, known)}`;
}

/** Names of the commands that a command line needs: the one that it calls, or all where their list may be printed. */
function calledBy(argv: readonly string[]): readonly string[] {
  const [word = ''] = argv;
  if (word === 'completion' || argv.some((one) => /^--?h/.test(one))) return NAMES;
  return [NAMES.includes(word) ? word : DEFAULT_COMMAND];
}

async function createProgram(terminal: Terminal, names: readonly string[]): Promise<Command> {
  const program = new Command('request-splitter')
    .description(
      'Splits requests over upstreams by a token. The same token always goes to the same upstream, bit for bit as with nginx split_clients. Without a command it serves.',
    )
    .version(VERSION, '-V, --version', 'print the version (also -v)')
    .helpCommand(false)
    .addHelpText('after', () => helpEnding(columnsOf(terminal)));
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
        getOutHelpWidth: () => columnsOf(terminal),
        getErrHelpWidth: () => columnsOf(terminal),
      })
      .configureHelp({ minWidthToWrap: COLUMNS_MIN / 2 });
  }
  return program;
}

/** Narrower terminals break lines by themselves; wider lines are hard to read. */
function columnsOf({ columns = COLUMNS_MAX }: Terminal): number {
  return Math.min(Math.max(columns, COLUMNS_MIN), COLUMNS_MAX);
}

function helpEnding(columns: number): string {
  const settings = Object.values(SETTINGS);
  const width = Math.max(...settings.map(({ variable }) => variable.length)) + 2;
  const wrapped = settings.map(({ variable, doc }) => {
    const [first, ...more] = wrap(doc, columns - 4 - width);
    return [`  ${variable.padEnd(width)}${first}`, ...more.map((line) => `${' '.repeat(width + 2)}${line}`)];
  });
  return `
${wrap('Environment variables (flags override them, they override the file):', columns).join('\n')}
${wrapped.flat().join('\n')}

Examples:
  request-splitter demo
  SPLIT='50% http://backend; * http://backend-experiment' request-splitter
  request-splitter --config splitter.yaml
  request-splitter check splitter.yaml
  request-splitter help check

${wrap('Exit codes: 0 success, 1 the answer is no or serve did not start, 2 wrong usage.', columns).join('\n')}
${wrap(`Without CONFIG, ${DEFAULT_FILE} is read if it exists.`, columns).join('\n')}`;
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
