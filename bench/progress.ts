// How far a run is and how long it will still take: by the estimate of each part, corrected by what the parts before
// it took. On a terminal one line, written again every second; elsewhere a line for each part.
export type Progress = (text: string) => void;

export interface PlannedPart {
  readonly name: string;
  readonly seconds: number;
}

/**
 * Seconds left, about.
 * @param done how many of the parts have ended
 * @param tookSeconds what those took together
 * @param currentSeconds for how long the next one has run
 */
export function secondsLeft(
  parts: readonly PlannedPart[],
  done: number,
  tookSeconds: number,
  currentSeconds: number,
): number {
  const sum = (some: readonly PlannedPart[]) => some.reduce((total, { seconds }) => total + seconds, 0);
  const planned = sum(parts.slice(0, done));
  // Little has been seen of a run at its start: the estimate counts as a minute that took as long as planned.
  const pace = (tookSeconds + 60) / (planned + 60);
  const current = (parts[done]?.seconds ?? 0) * pace;
  return Math.max(0, current - currentSeconds) + sum(parts.slice(done + 1)) * pace;
}

/** As 1:05 or, from an hour on, 1:00:05. */
export function clockText(seconds: number): string {
  const whole = Math.round(seconds);
  const two = (value: number) => String(value).padStart(2, '0');
  const minutes = Math.floor(whole / 60);
  return minutes < 60
    ? `${minutes}:${two(whole % 60)}`
    : `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(whole % 60)}`;
}

/** Where progress is written. */
export interface ProgressOutput {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

/** Shows how far a run is. Lives as long as the run, which owns it and ends it. */
export class ProgressLine {
  readonly #parts: readonly PlannedPart[];
  readonly #output: ProgressOutput;
  readonly #clock: () => number;
  readonly #startedAt: number;
  readonly #timer: NodeJS.Timeout | undefined;
  #done = 0;
  #partAt: number;
  #text = '';
  #isShown = false;

  /** @param clock milliseconds */
  constructor(
    parts: readonly PlannedPart[],
    output: ProgressOutput = process.stderr,
    clock: () => number = () => performance.now(),
  ) {
    this.#parts = parts;
    this.#output = output;
    this.#clock = clock;
    this.#startedAt = clock();
    this.#partAt = this.#startedAt;
    const total = parts.reduce((sum, { seconds }) => sum + seconds, 0);
    this.#output.write(`about ${clockText(total)} minutes\n`);
    if (output.isTTY === true) this.#timer = setInterval(() => this.#write(), 1000).unref();
  }

  /** The next part begins, which is one of the planned ones, in their order. */
  begin(name: string): void {
    this.#done = Math.max(
      this.#done,
      this.#parts.findIndex((part) => part.name === name),
    );
    this.#partAt = this.#clock();
    this.#text = name;
    if (this.#output.isTTY === true) this.#write();
    else this.#output.write(`${this.line()}\n`);
  }

  /** What is being done in it. */
  readonly show: Progress = (text) => {
    this.#text = text;
    if (this.#output.isTTY === true) this.#write();
  };

  line(): string {
    const now = this.#clock();
    const left = secondsLeft(
      this.#parts,
      this.#done,
      (this.#partAt - this.#startedAt) / 1000,
      (now - this.#partAt) / 1000,
    );
    return `part ${this.#done + 1} of ${this.#parts.length}, about ${clockText(left)} left: ${this.#text}`;
  }

  /** Takes the line away, so that something else can be printed. */
  clear(): void {
    if (this.#isShown) this.#output.write('\r\x1b[K');
    this.#isShown = false;
  }

  end(): void {
    clearInterval(this.#timer);
    this.clear();
  }

  #write(): void {
    if (this.#text === '') return;
    this.#isShown = true;
    this.#output.write(`\r\x1b[K${this.line()}`);
  }
}
