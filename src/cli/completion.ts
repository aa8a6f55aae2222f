// `completion SHELL`: prints a script that completes commands, flags and files in bash, zsh or fish. It is generated from
// the commands themselves, so that it cannot miss one of their flags. Installs nothing.

import { Argument, Command } from 'commander';
import type { Terminal } from './terminal.ts';

const PROGRAM = 'request-splitter';
const SHELLS = ['bash', 'zsh', 'fish'] as const;
type Shell = (typeof SHELLS)[number];

/** The command, ready to be added to the program. */
export function completionCommand(terminal: Terminal): Command {
  const command = new Command('completion')
    .summary('print a completion script for a shell')
    .description(
      `Prints a completion script. For bash: source <(${PROGRAM} completion bash), for zsh the same with zsh, for fish: ${PROGRAM} completion fish | source.`,
    )
    .addArgument(new Argument('<SHELL>', 'bash, zsh or fish').choices(SHELLS));
  return command.action((shell: Shell) => {
    const described = command.parent!.commands.map(describeCommand);
    terminal.writeOut(SCRIPTS[shell](described));
  });
}

/** A command as a shell needs it. */
interface Described {
  readonly name: string;
  readonly summary: string;
  readonly flags: readonly Flag[];
  /** What its arguments are: files, some words, or nothing that can be known. */
  readonly argument: 'files' | readonly string[] | null;
}

interface Flag {
  /** "--config"; also "-H" where there is one. */
  readonly names: readonly string[];
  readonly doc: string;
  /** Name of its value; null without one. */
  readonly value: string | null;
}

function describeCommand(command: Command): Described {
  const help = command.createHelp();
  const [argument] = command.registeredArguments;
  const isFile = argument !== undefined && /^(?:FILE|OLD|NEW)$/.test(argument.name());
  return {
    name: command.name(),
    summary: command.summary(),
    flags: help.visibleOptions(command).map((option) => ({
      names: [option.long, option.short].filter((name) => name !== undefined && name !== null),
      doc: option.description,
      value: /<(\w+)>/.exec(option.flags)?.[1] ?? null,
    })),
    argument: isFile ? 'files' : (argument?.argChoices ?? null),
  };
}

const SCRIPTS: Readonly<Record<Shell, (commands: readonly Described[]) => string>> = { bash, zsh, fish };

function bash(commands: readonly Described[]): string {
  const names = commands.map(({ name }) => name).join(' ');
  const valued = commands.flatMap(({ flags }) => flags.filter(({ value }) => value !== null));
  const of = (isFile: boolean) =>
    unique(valued.filter(({ value }) => (value === 'FILE') === isFile).flatMap((flag) => flag.names)).join(
      '|',
    );
  const cases = commands.map(({ name, flags, argument }) => {
    const words = flags.flatMap((flag) => flag.names).join(' ');
    const rest = argument === 'files' ? 'FILES' : (argument ?? []).join(' ');
    return `    ${name}) flags='${words}' rest='${rest}' ;;`;
  });
  return `# bash completion of ${PROGRAM}; load it with: source <(${PROGRAM} completion bash)
_request_splitter() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} command=serve flags='' rest=''
  COMPREPLY=()
  case $prev in
    ${of(true)}) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur")); return ;;
    ${of(false)}) return ;;
  esac
  if ((COMP_CWORD == 1)) && [[ $cur != -* ]]; then
    COMPREPLY=($(compgen -W '${names} help version' -- "$cur"))
    return
  fi
  [[ \${COMP_WORDS[1]} == -* ]] || command=\${COMP_WORDS[1]}
  case $command in
${cases.join('\n')}
    help) rest='${names}' ;;
  esac
  if [[ $cur == -* ]]; then
    COMPREPLY=($(compgen -W "$flags" -- "$cur"))
  elif [[ $rest == FILES ]]; then
    compopt -o filenames 2>/dev/null
    COMPREPLY=($(compgen -f -- "$cur"))
  else
    COMPREPLY=($(compgen -W "$rest" -- "$cur"))
  fi
}
complete -F _request_splitter ${PROGRAM}
`;
}

function zsh(commands: readonly Described[]): string {
  // First what _arguments reads, then the quotes of the shell around it.
  const text = (doc: string) => doc.replace(/[[\]:\\]/g, (mark) => `\\${mark}`).replaceAll("'", "'\\''");
  const described = commands.map(({ name, summary }) => `    '${name}:${text(summary)}'`);
  const cases = commands.map(({ name, flags, argument }) => {
    const specs = flags.flatMap(({ names, doc, value }) =>
      names.map((flag) => {
        const after = value === null ? '' : `:${value}:${value === 'FILE' ? '_files' : ' '}`;
        return `'${flag}[${text(doc)}]${after}'`;
      }),
    );
    if (argument === 'files') specs.push("'*:FILE:_files'");
    else if (argument !== null) specs.push(`'1:SHELL:(${argument.join(' ')})'`);
    return `    ${name}) _arguments ${specs.join(' \\\n      ')} ;;`;
  });
  return `#compdef ${PROGRAM}
# zsh completion of ${PROGRAM}; load it with: source <(${PROGRAM} completion zsh)
_request_splitter() {
  local command=serve
  local -a commands=(
${described.join('\n')}
    'help:print the help of a command'
    'version:print the version'
  )
  if (( CURRENT == 2 )) && [[ $words[2] != -* ]]; then
    _describe command commands
    return
  fi
  if [[ $words[2] != -* ]]; then
    command=$words[2]
    shift words
    (( CURRENT-- ))
  fi
  case $command in
${cases.join('\n')}
    help) _describe command commands ;;
  esac
}
if [[ $funcstack[1] == _request_splitter ]]; then _request_splitter "$@"; else compdef _request_splitter ${PROGRAM}; fi
`;
}

function fish(commands: readonly Described[]): string {
  const text = (doc: string) => `'${doc.replace(/[\\']/g, (mark) => `\\${mark}`)}'`;
  const names = commands.map(({ name }) => name).join(' ');
  const lines = [
    `# fish completion of ${PROGRAM}; load it with: ${PROGRAM} completion fish | source`,
    `complete -c ${PROGRAM} -f`,
  ];
  const isFirst = `"not __fish_seen_subcommand_from ${names} help version"`;
  for (const { name, summary, flags, argument } of commands) {
    lines.push(`complete -c ${PROGRAM} -n ${isFirst} -a ${name} -d ${text(summary)}`);
    // Without a command it serves, so the flags of serve come first too.
    const within =
      name === 'serve'
        ? `"not __fish_seen_subcommand_from ${names.replace('serve ', '')} help version"`
        : `"__fish_seen_subcommand_from ${name}"`;
    for (const { names: spelt, doc, value } of flags) {
      const spellings = spelt.map((flag) =>
        flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`,
      );
      const takes = value === null ? '' : value === 'FILE' ? ' -r -F' : ' -x';
      lines.push(`complete -c ${PROGRAM} -n ${within} ${spellings.join(' ')}${takes} -d ${text(doc)}`);
    }
    if (argument === 'files') lines.push(`complete -c ${PROGRAM} -n ${within} -F`);
    else if (argument !== null) lines.push(`complete -c ${PROGRAM} -n ${within} -a "${argument.join(' ')}"`);
  }
  lines.push(
    `complete -c ${PROGRAM} -n ${isFirst} -a help -d 'print the help of a command'`,
    `complete -c ${PROGRAM} -n ${isFirst} -a version -d 'print the version'`,
    `complete -c ${PROGRAM} -n "__fish_seen_subcommand_from help" -a "${names}"`,
  );
  return `${lines.join('\n')}\n`;
}

function unique<T>(values: readonly T[]): T[] {
  return [...new Set(values)];
}
