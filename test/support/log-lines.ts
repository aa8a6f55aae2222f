// A pino logger whose lines a test can read as objects.
import { type Logger, pino } from 'pino';

export function logLines(): { log: Logger; lines: Record<string, unknown>[] } {
  const lines: Record<string, unknown>[] = [];
  const log = pino(
    { base: null, timestamp: false, formatters: { level: (label) => ({ level: label }) } },
    { write: (line) => void lines.push(JSON.parse(line)) },
  );
  return { log, lines };
}
