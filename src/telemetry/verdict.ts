// Keeps what was found in a sample: an alarm that was raised stays until the sample begins again, since evidence that was
// once enough does not lose its worth when later numbers look better. Makes the one sentence of a split from it.

import { ALARM_LEVELS, type Level } from '../trust/evidence.ts';
import { type Alarm, type CountedKeys, type Judgement, TROUBLES } from '../trust/judge.ts';
import { sentenceOf } from '../trust/sentences.ts';

/** Keys below which a sample with nothing found says nothing. */
const EARLY_KEYS = 1000;

/** A split in a word: `hurts` and `mismatch` have the level stop. */
type SplitState = 'early' | 'good' | 'look' | 'mismatch' | 'hurts';

/** Something that was found, now or before. */
export interface KeptAlarm extends Alarm {
  /** Unix time in milliseconds of its level; null for a plain fact. */
  readonly sinceMs: number | null;
  /** False where the numbers of now would no longer say so. */
  readonly isPresent: boolean;
}

/** What is said of a sample. */
export interface SplitVerdict {
  readonly level: Level;
  readonly state: SplitState;
  readonly sentence: string;
  readonly alarms: readonly KeptAlarm[];
  /** The keys have not fallen by the shares, at any moment so far: the sample cannot be trusted. */
  readonly isMismatch: boolean;
  /** 1 / the largest evidence against the shares so far, 1 at most; null without keys. */
  readonly pValue: number | null;
  readonly deviationRatio: number | null;
  readonly judgement: Judgement;
}

/** What is kept, as it is handed on to another process. */
export interface KeptEvidence {
  readonly shareLogEvidence: number;
  readonly alarms: readonly KeptAlarm[];
}

/** The evidence of a sample so far. The sample owns it. */
export class Evidence {
  #shareLogEvidence = 0;
  readonly #kept = new Map<string, KeptAlarm>();

  /** Takes a judgement of now in and says what follows from all so far. */
  take(judgement: Judgement, assigned: readonly CountedKeys[], nowMs: number): SplitVerdict {
    this.#shareLogEvidence = Math.max(this.#shareLogEvidence, judgement.shareLogEvidence);
    const present = new Set<string>();
    const facts: KeptAlarm[] = [];
    for (const alarm of judgement.alarms) {
      if (alarm.logEvidence === null) {
        facts.push({ ...alarm, sinceMs: null, isPresent: true });
        continue;
      }
      present.add(alarmId(alarm));
      this.#keep({ ...alarm, sinceMs: nowMs, isPresent: true });
    }
    for (const [id, kept] of this.#kept) {
      if (kept.isPresent && !present.has(id)) this.#kept.set(id, { ...kept, isPresent: false });
    }
    const alarms = [...this.#kept.values(), ...facts].sort(
      (one, other) =>
        ALARM_LEVELS.indexOf(other.level) - ALARM_LEVELS.indexOf(one.level) ||
        TROUBLES.indexOf(one.trouble) - TROUBLES.indexOf(other.trouble),
    );
    const keys = assigned.reduce((sum, one) => sum + one.keys, 0);
    const level = alarms[0]?.level ?? 'none';
    return {
      level,
      state: stateOf(alarms, keys),
      sentence: headlineOf(alarms, judgement, keys),
      alarms,
      isMismatch: alarms.some((one) => one.trouble === 'shares' && one.level === 'stop'),
      pValue: keys > 0 ? Math.exp(-this.#shareLogEvidence) : null,
      deviationRatio: judgement.deviationRatio,
      judgement,
    };
  }

  /** What is kept so far. */
  get kept(): KeptEvidence {
    return { shareLogEvidence: this.#shareLogEvidence, alarms: [...this.#kept.values()] };
  }

  /** Takes in what an earlier process has kept of the same sample. */
  restore({ shareLogEvidence, alarms }: KeptEvidence): void {
    this.#shareLogEvidence = Math.max(this.#shareLogEvidence, shareLogEvidence);
    for (const alarm of alarms) this.#keep(alarm);
  }

  #keep(alarm: KeptAlarm): void {
    const id = alarmId(alarm);
    const kept = this.#kept.get(id);
    if (kept === undefined || rankOfLevel(alarm) > rankOfLevel(kept)) {
      this.#kept.set(id, alarm);
      return;
    }
    // The level that was reached stays, with the time at which it was; numbers and sentence are those of now.
    const logEvidence = Math.max(kept.logEvidence ?? 0, alarm.logEvidence ?? 0);
    this.#kept.set(id, { ...alarm, level: kept.level, sinceMs: kept.sinceMs, logEvidence });
  }
}

function alarmId({ trouble, variant }: Alarm): string {
  // The variant that is furthest from its share may change; the mismatch is one.
  return trouble === 'shares' || trouble === 'exposure' ? trouble : `${trouble}\0${variant}`;
}

function rankOfLevel({ level }: Alarm): number {
  return ALARM_LEVELS.indexOf(level);
}

function stateOf(alarms: readonly KeptAlarm[], keys: number): SplitState {
  const stops = alarms.filter(({ level }) => level === 'stop');
  if (stops.some(({ trouble }) => trouble !== 'shares')) return 'hurts';
  if (stops.length > 0) return 'mismatch';
  if (alarms.length > 0) return 'look';
  return keys < EARLY_KEYS ? 'early' : 'good';
}

function headlineOf(alarms: readonly KeptAlarm[], judgement: Judgement, keys: number): string {
  const first = alarms[0];
  if (first !== undefined) return first.isPresent ? first.sentence : sentenceOf.past(first.sentence);
  if (keys < EARLY_KEYS) return sentenceOf.early(keys);
  return sentenceOf.good(keys, judgement.comparisons.at(-1)?.errors ?? null);
}
