// What happens at the end of a turn of the event loop: wires write what they have gathered, and those that had read their
// share of the turn may read again. One immediate serves all wires of a turn.

/** Gathers something in a turn. */
export interface Gathering {
  /** The turn ends. */
  endTurn(): void;
}

/** Has read its part of a turn. */
export interface Resting {
  /** The next turn begins. */
  endRest(): void;
}

let gathering: Gathering[] = [];
let flushing: Gathering[] = [];
let resting: Resting[] = [];
let waking: Resting[] = [];
/** Number of the present turn of the event loop, as far as something was gathered in each. */
let turnNumber = 0;

export function currentTurn(): number {
  return turnNumber;
}

/** Ends the turn of `one` when every socket that is ready has been read. */
export function atEndOfTurn(one: Gathering): void {
  if (gathering.push(one) === 1) setImmediate(flushAll);
}

/** Ends the rest of `one` when every socket that is ready has been read. */
export function inNextTurn(one: Resting): void {
  if (resting.push(one) === 1) setImmediate(wakeAll);
}

function flushAll(): void {
  turnNumber++;
  const all = gathering;
  gathering = flushing;
  flushing = all;
  for (let i = 0; i < all.length; i++) all[i]!.endTurn();
  all.length = 0;
}

function wakeAll(): void {
  const all = resting;
  resting = waking;
  waking = all;
  for (let i = 0; i < all.length; i++) all[i]!.endRest();
  all.length = 0;
}
