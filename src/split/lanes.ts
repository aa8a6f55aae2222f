// Drives many MurmurHash2 states over the same blocks, 32 at a time, in the processor's vector unit. JavaScript has no other
// way to it than WebAssembly, so the loop is assembled here, from the few instructions that it needs. Knows nothing of keys.
// Source: WebAssembly 2.0, §5 (binary format); Austin Appleby, MurmurHash2.cpp: h = h * M ^ k for each mixed block k.

/** The multiplier of MurmurHash2. */
export const M = 0x5bd1e995;

/** States that are driven together; a list is filled up to a multiple of it. */
const LANES = 32;
const PAGE_BYTES = 65_536;

const VECTORS = LANES / 4;
/** Locals of the function: four parameters, then these. */
const [STATE, STATES_END, BLOCKS, BLOCKS_END, AT, FACTOR, BLOCK, FIRST] = [0, 1, 2, 3, 4, 5, 6, 7];
const [I32, V128, VOID] = [0x7f, 0x7b, 0x40];

const get = (local: number) => [0x20, local];
const set = (local: number) => [0x21, local];
const constant = (value: number) => [0x41, ...signedLeb(value)];
const simd = (code: number, ...operands: number[]) => [0xfd, ...leb(code), ...operands];
const ADD = 0x6a;
const LESS = 0x49;
const END = 0x0b;
const loopWhile = (body: number[], ...isLess: number[]) => [
  0x03,
  VOID,
  ...body,
  ...isLess,
  LESS,
  0x0d,
  0,
  END,
];

const vectors = Array.from({ length: VECTORS }, (_, i) => i);

/**
 * (loop over the states, LANES at a time: load them; loop over the blocks: state = state * M ^ block; store them)
 */
const bodyOf = () => [
  ...constant(M),
  ...simd(0x11), // i32x4.splat
  ...set(FACTOR),
  ...loopWhile(
    [
      ...vectors.flatMap((i) => [...get(STATE), ...simd(0x00, 2, ...leb(i * 16)), ...set(FIRST + i)]), // v128.load
      ...get(BLOCKS),
      ...set(AT),
      ...loopWhile(
        [
          ...get(AT),
          ...simd(0x09, 2, 0), // v128.load32_splat
          ...set(BLOCK),
          ...vectors.flatMap((i) => [
            ...get(FIRST + i),
            ...get(FACTOR),
            ...simd(0xb5), // i32x4.mul
            ...get(BLOCK),
            ...simd(0x51), // v128.xor
            ...set(FIRST + i),
          ]),
          ...get(AT),
          ...constant(4),
          ADD,
          ...set(AT),
        ],
        ...get(AT),
        ...get(BLOCKS_END),
      ),
      ...vectors.flatMap((i) => [...get(STATE), ...get(FIRST + i), ...simd(0x0b, 2, ...leb(i * 16))]), // v128.store
      ...get(STATE),
      ...constant(LANES * 4),
      ADD,
      ...set(STATE),
    ],
    ...get(STATE),
    ...get(STATES_END),
  ),
  END,
];

function leb(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...leb(value >>> 7)];
}

function signedLeb(value: number): number[] {
  return value < 64 ? [value] : [(value & 127) | 128, ...signedLeb(value >>> 7)];
}

const section = (id: number, content: number[]) => [id, ...leb(content.length), ...content];
const name = (text: string) => [text.length, ...Buffer.from(text)];
const LOCALS = [2, 1, I32, 2 + VECTORS, V128];
/** A module that imports a memory and exports `drive(states, statesEnd, blocks, blocksEnd)`, all of them addresses. */
function assemble(): Uint8Array {
  const code = [...LOCALS, ...bodyOf()];
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    ...section(1, [1, 0x60, 4, I32, I32, I32, I32, 0]),
    ...section(2, [1, ...name('host'), ...name('memory'), 0x02, 0x00, 1]),
    ...section(3, [1, 0]),
    ...section(7, [1, ...name('drive'), 0x00, 0]),
    ...section(10, [1, ...leb(code.length), ...code]),
  ]);
}

type Drive = (states: number, statesEnd: number, blocks: number, blocksEnd: number) => void;

interface Memory {
  readonly buffer: ArrayBuffer;
  grow(pages: number): void;
}

interface Unit {
  readonly memory: Memory;
  readonly drive: Drive;
}

/** What is used of WebAssembly: the types of Node do not declare it. */
interface Engine {
  validate(bytes: Uint8Array): boolean;
  readonly Memory: new (size: { readonly initial: number }) => Memory;
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: { readonly drive: Drive } };
}

let unit: Unit | null | undefined;

/** The one unit of the process, made when it is first asked for; null where there is none, as with `--jitless`. */
function vectorUnit(): Unit | null {
  if (unit !== undefined) return unit;
  unit = null;
  const engine = (globalThis as unknown as { readonly WebAssembly?: Engine }).WebAssembly;
  const module = assemble();
  if (engine?.validate(module) === true) {
    const memory = new engine.Memory({ initial: 1 });
    const { exports } = new engine.Instance(new engine.Module(module), { host: { memory } });
    unit = { memory, drive: exports.drive };
  }
  return unit;
}

/** Drives each of `states` over the first `count` of `blocks`. */
export function drive(states: Int32Array, blocks: Int32Array, count: number): void {
  const lanes = count === 0 ? null : vectorUnit();
  if (lanes === null) {
    driveEach(states, blocks, count);
    return;
  }
  const { memory } = lanes;
  const room = Math.ceil(states.length / LANES) * LANES;
  const pages = Math.ceil(((room + count) * 4) / PAGE_BYTES);
  const present = memory.buffer.byteLength / PAGE_BYTES;
  if (pages > present) memory.grow(pages - present);
  const words = new Int32Array(memory.buffer);
  words.set(states);
  words.set(count === blocks.length ? blocks : blocks.subarray(0, count), room);
  lanes.drive(0, room * 4, room * 4, (room + count) * 4);
  states.set(words.subarray(0, states.length));
}

/** The same without a vector unit. */
export function driveEach(states: Int32Array, blocks: Int32Array, count: number): void {
  for (let i = 0; i < states.length; i++) {
    let state = states[i]!;
    for (let block = 0; block < count; block++) state = Math.imul(state, M) ^ blocks[block]!;
    states[i] = state;
  }
}
