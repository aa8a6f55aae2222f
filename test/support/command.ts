// Runs one command line of the program in this process and collects its output.
import { runProgram } from '../../src/cli/program.ts';

export interface CommandRun {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs `request-splitter WORDS`; standard input is `input` when it is given. */
export async function runCommand(
  words: readonly string[],
  {
    environment = {},
    input,
    columns,
  }: { environment?: Record<string, string>; input?: string; columns?: number | undefined } = {},
): Promise<CommandRun> {
  const written = { out: '', err: '' };
  const code = await runProgram(words, {
    environment,
    columns,
    writeOut: (text) => {
      written.out += text;
    },
    writeErr: (text) => {
      written.err += text;
    },
    onSignal: () => undefined,
    input: input === undefined ? undefined : bytesOf(input),
  });
  return { code, ...written };
}

/** The text in pieces that cut lines, as a pipe gives it. */
async function* bytesOf(text: string): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += 7) yield bytes.subarray(at, at + 7);
}
