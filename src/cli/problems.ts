// Prints what keeps a configuration from running, a problem a line, as every command does: on standard error, with the
// place and what was received set off by color where a terminal shows colors.

import { styleText } from 'node:util';
import { formatProblems, type Problem } from '../config/problem.ts';
import type { Terminal } from './terminal.ts';

/** Writes every problem, up to the number that `formatProblems` lists. */
export function printProblems(terminal: Terminal, problems: readonly Problem[]): void {
  for (const line of formatProblems(problems)) {
    terminal.writeErr(`${terminal.hasColors === true ? inColor(line) : line}\n`);
  }
}

function inColor(line: string): string {
  const [, place, expected, got] = /^(.*?): (expected .*), got (.*)$/.exec(line) ?? [];
  if (place === undefined || expected === undefined || got === undefined) return line;
  const paint = (style: 'bold' | 'red', text: string) => styleText(style, text, { validateStream: false });
  return `${paint('bold', place)}: ${expected}, got ${paint('red', got)}`;
}
