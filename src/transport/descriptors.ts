// The file descriptors of the process: how many it may have, and how many of them clients and upstreams may take. When
// none is left, libuv closes waiting clients without an answer so that it does not spin, and the admin port cannot be
// reached either. So the splitter refuses clients and opens no upstream connections while a few descriptors are left.
// Sources: getrlimit(2), RLIMIT_NOFILE; open(2): the lowest free number is given.

import { type Cause, causeOf } from '../errors.ts';
import { OWN_PROCESS } from '../telemetry/own-process.ts';

/** Kept for the admin port, the log and files that are read again. */
const KEPT = 12;
/** Kept for upstreams beside those: so much of the limit, within these bounds. */
const UPSTREAM_RATIO = 1 / 8;
const UPSTREAMS_MIN = 4;
const UPSTREAMS_MAX = 1024;

/**
 * The count of one process, kept by its listener and its upstreams. Its promise: clients and upstreams leave the last descriptors
 * to the admin port and the log.
 */
export class Descriptors {
  /** Most that the process may have; infinite where the system does not say. */
  readonly max: number;
  /** A client whose descriptor has this number or a higher one is refused: all lower ones are in use. */
  readonly clientsEnd: number;
  /** From this number on one that is refused is closed at once. */
  readonly refusedEnd: number;
  /** Open connections of clients, and to upstreams. */
  clients = 0;
  upstreams = 0;
  #others = 0;

  constructor(max: number | undefined = OWN_PROCESS.openFilesMax) {
    this.max = max ?? Number.POSITIVE_INFINITY;
    const forUpstreams = Math.min(
      UPSTREAMS_MAX,
      Math.max(UPSTREAMS_MIN, Math.ceil(this.max * UPSTREAM_RATIO)),
    );
    this.refusedEnd = this.max - KEPT;
    this.clientsEnd = this.refusedEnd - forUpstreams;
  }

  /** Says how many are open now, connections included; the others are taken to stay open. */
  countOthers(openFiles: number | undefined): void {
    this.#others = Math.max(0, (openFiles ?? 0) - this.clients - this.upstreams);
  }

  /** Why a connection is refused or not opened. */
  describe(): Cause {
    return causeOf(`nearly all of ${this.max} file descriptors (RLIMIT_NOFILE) are in use`);
  }

  /** One more connection to an upstream leaves what is kept. */
  get hasRoomForUpstream(): boolean {
    return this.#others + this.clients + this.upstreams < this.refusedEnd;
  }
}
