// Where samples outlive their process, as what the keeper asks of it: entries of bytes, one for each process. Two kinds: a
// folder and a Redis server. Neither knows what is in an entry.

/** Larger entries are neither written nor read. */
export const ENTRY_BYTES_MAX = 64 * 1024 * 1024;
/** A claim ends by itself, as its owner may have died. */
export const CLAIM_MS = 60_000;

/** Entries while a connection or folder is open. Every method rejects with what the store says. */
export interface StoreEntries {
  /** Ids of all entries, in no order. */
  list(): Promise<string[]>;
  /** Null where there is none. */
  read(id: string): Promise<Buffer | null>;
  /** Replaces it as a whole. */
  write(id: string, bytes: Buffer): Promise<void>;
  /** True for one process alone until the entry is removed or CLAIM_MS have passed. */
  claim(id: string): Promise<boolean>;
  remove(id: string): Promise<void>;
}

/** A store. The keeper owns it as long as the process. */
export interface SampleStore {
  /** Opens a session, gives it to `work` and closes it whatever becomes of it. */
  use<T>(work: (session: StoreEntries) => Promise<T>): Promise<T>;
}
