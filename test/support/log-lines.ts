// A log whose lines a test can read as objects: a pino logger, and an output for lines that are formatted already.
import { type Logger, pino } from 'pino';

export function logLines() {
  const lines: Record<string, unknown>[] = [];
  const write = (line: string): void => void lines.push(JSON.parse(line));
  const log: Logger = pino(
    { base: null, timestamp: false, formatters: { level: (label) => ({ level: label }) } },
    { write },
  );
  const writeBytes = (bytes: Buffer, length: number): void => write(bytes.toString('utf8', 0, length));
  return { log, writeBytes, lines };
}
