// What a check of a configuration reports to. Problems keep it from running; findings do not: a warning is probably
// not what was meant, a note is worth knowing.

import type { ConfigDocument } from './options/document.ts';
import type { Path, Place } from './problem.ts';
import type { RawMap } from './raw.ts';

/** Something in a configuration that runs. */
export interface Finding extends Place {
  readonly level: 'warning' | 'note';
  readonly sentence: string;
}

/** Where the checks report to. `offset` is a character inside the text at `path`. */
export interface Report {
  /** Translated from an nginx.conf: options that the translation wrote are no one's wish, and no shell read the file. */
  readonly isTranslated: boolean;
  /** A certain mistake: a problem, or a warning where everything that nginx runs has to run. */
  mistake(path: Path, expected: string, got: string): void;
  warn(path: Path, sentence: string, offset?: number): void;
  note(path: Path, sentence: string): void;
}

/** What the checks read: the document as it was written, and the same with defaults. */
export interface Written {
  readonly raw: RawMap;
  readonly document: ConfigDocument;
  /** Translated from an nginx.conf: options that the translation wrote are not the user's choice. */
  readonly isTranslated: boolean;
}

/** `warning: FILE:LINE:COL path: …` */
export function formatFinding({ level, at, path, sentence }: Finding): string {
  return `${level}: ${path === '' ? at : `${at} ${path}`}: ${sentence}`;
}

/** Only the warnings, each in a line without its level. */
export function warningLines(findings: readonly Finding[]): string[] {
  return findings
    .filter(({ level }) => level === 'warning')
    .map((finding) => formatFinding(finding).replace(/^warning: /, ''));
}
