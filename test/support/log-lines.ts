// A log whose lines a test can read as objects: a pino logger, and an output for lines that are formatted already.
import { type Logger, pino } from 'pino';
import { Output } from '../../src/http1/output.ts';

export function logLines() {
  const lines: Record<string, unknown>[] = [];
  const write = (line: string): void => void lines.push(JSON.parse(line));
  const log: Logger = pino(
    { base: null, timestamp: false, formatters: { level: (label) => ({ level: label }) } },
    { write },
  );
  const out = new Output(64);
  const beginLine = (): Output => {
    out.clear();
    return out;
  };
  const endLine = (): void => write(out.bytes.toString('utf8', 0, out.length));
  return { log, write, beginLine, endLine, lines };
}
