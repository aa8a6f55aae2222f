// What the checks of a configuration report, and to what. Problems keep it from running; findings do not: a warning
// is probably not what was meant, a note is worth knowing.

import { didYouMean } from '../did-you-mean.ts';
import type { TextScope } from '../key/own-variables.ts';
import type { ConfigDocument } from './options/document.ts';
import { type Path, type Place, PROBLEMS_SHOWN_MAX, type Problem } from './problem.ts';
import { type LocatedDocument, mapOf, type RawMap } from './raw.ts';
import { ownVariablesOf } from './scope.ts';

/** Something in a configuration that runs. */
export interface Finding extends Place {
  readonly level: 'warning' | 'note';
  readonly sentence: string;
}

/** What was expected, with a guess at what was meant where one helps; made for the problems that are shown alone. */
export type Expected = string | ((guess: typeof didYouMean) => string);

/** Where the checks report to. `offset` is a character inside the text at `path`. */
export interface CheckReport {
  /** Translated from an nginx.conf: options that the translation wrote are not the user's choice, and no shell read the file. */
  readonly isTranslated: boolean;
  /** What texts that are made of a request can read in this document. */
  readonly scope: TextScope;
  /** What texts for the client can read in it. */
  readonly responseScope: TextScope;
  /** Where a value is, for a message about another one. */
  placeOf(path: Path): string;
  /** Keeps the configuration from running. */
  problem(path: Path, expected: Expected, got: string, part?: 'value' | 'key', offset?: number): void;
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

/** Findings that are listed; each costs a line of the log at every start and reload. */
const FINDINGS_MAX = 50;

/**
 * Collects what the checks of one document report, each at its place in what the user wrote. Lives as long as one
 * call of `linkSource`, which owns it.
 */
export class CheckResults implements CheckReport {
  readonly isTranslated: boolean;
  readonly scope: TextScope;
  readonly responseScope: TextScope;
  readonly #source: LocatedDocument;
  readonly #problems: (Omit<Problem, 'expected'> & { readonly expected: Expected })[] = [];
  readonly #findings: Finding[] = [];
  /** Findings beyond those that are listed. */
  #unlisted = 0;

  constructor(source: LocatedDocument) {
    this.#source = source;
    this.isTranslated = source.isTranslated === true;
    const own = ownVariablesOf(mapOf(source.document));
    this.scope = own.scope('request');
    this.responseScope = own.scope('response');
  }

  get hasProblems(): boolean {
    return this.#problems.length > 0;
  }

  /** Those of the paths at whose key no problem was reported yet. */
  withoutProblem(paths: Iterable<Path>): Path[] {
    const places = new Set(this.#problems.map(({ order }) => order));
    return [...paths].filter((path) => !places.has(this.#source.locate(path, 'key').order));
  }

  placeOf(path: Path): string {
    return this.#source.locate(path).at;
  }

  problem(
    path: Path,
    expected: Expected,
    got: string,
    part: 'value' | 'key' = 'value',
    offset?: number,
  ): void {
    this.#problems.push({ ...this.#source.locate(path, part, offset), expected, got });
  }

  mistake(path: Path, expected: string, got: string): void {
    if (!this.isTranslated) this.problem(path, expected, got);
    else this.warn(path, `expected ${expected}, got ${got}`);
  }

  warn(path: Path, sentence: string, offset?: number): void {
    this.#find('warning', path, sentence, offset);
  }

  note(path: Path, sentence: string): void {
    this.#find('note', path, sentence);
  }

  #find(level: Finding['level'], path: Path, sentence: string, offset?: number): void {
    if (this.#findings.length >= FINDINGS_MAX) this.#unlisted++;
    else this.#findings.push({ ...this.#source.locate(path, 'value', offset), level, sentence });
  }

  /** The problems in the order of the text. Only those that are shown get a guess: it compares many names. */
  problems(): Problem[] {
    const inOrder = this.#problems.sort((a, b) => a.order - b.order);
    return inOrder.map(({ expected, ...rest }, index) => {
      if (typeof expected === 'string') return { ...rest, expected };
      return { ...rest, expected: expected(index < PROBLEMS_SHOWN_MAX ? didYouMean : () => '') };
    });
  }

  /** The findings in the order of the text, and how many more there are. */
  findings(): Finding[] {
    const inOrder = this.#findings.sort((a, b) => a.order - b.order);
    if (this.#unlisted === 0) return inOrder;
    const sentence = `${this.#unlisted} more warnings and notes are not listed`;
    return [...inOrder, { ...this.#source.locate([]), level: 'warning', sentence }];
  }
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
