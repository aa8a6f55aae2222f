// The nodes of a parsed YAML document -> plain values, each node once: anchors, merge keys, repeated keys and tags
// are checked here, as the yaml package walks the whole document for each alias and the whole map for each key. Bounds what
// aliases may expand to. Source: YAML 1.2 §7.1, the merge key of YAML 1.1.

import { type Document, isAlias, isMap, isScalar, isSeq, type Node, type Pair, type YAMLMap } from 'yaml';
import { showGot } from './problem.ts';
import type { RawMap } from './raw.ts';
import { describeSecret } from './secrets.ts';

/** Something in the nodes that is not allowed, at an offset in the text. */
export interface NodeFault {
  readonly offset: number;
  readonly expected: string;
  readonly got: string;
}

const FAULTS_MAX = 5;
const VALUES_MAX = 200_000;
/** Tags that say nothing about a value that it does not say itself. */
const PLAIN_TAG = /^(?:!|tag:yaml\.org,2002:(?:map|seq|str|int|float|bool|null))$/;

/** A node that may be absent, as `key:` has one. */
export type AnyNode = Node | null | undefined;

/** One document. `faults` is to be looked at before anything else. */
export class YamlValues {
  /** The first few faults, in the order of the text. */
  readonly faults: NodeFault[] = [];
  readonly #contents: AnyNode;
  readonly #text: string;
  readonly #anchors = new Map<string, Node>();
  readonly #targets = new Map<unknown, Node>();
  readonly #pairs = new Map<YAMLMap, ReadonlyMap<string, Pair>>();
  readonly #values = new Map<Node, unknown>();

  /** Throws RangeError when the nodes are nested deeper than the stack is. */
  constructor(document: Document, text: string) {
    this.#contents = document.contents as AnyNode;
    this.#text = text;
    this.#check(this.#contents);
    if (this.faults.length > 0) return;
    const size = this.#sizeOf(this.#contents, new Map());
    if (size <= VALUES_MAX) return;
    const got =
      size === Number.POSITIVE_INFINITY
        ? 'an alias inside its own anchor'
        : `${size > 1e9 ? 'billions of' : size} values`;
    const expected = `${VALUES_MAX} values at most, after aliases are expanded`;
    this.faults.push({ offset: 0, expected, got });
  }

  /** What the document says; shared where aliases share it. */
  get value(): unknown {
    return this.#valueOf(this.#contents);
  }

  /** The node that an alias is for; every other node itself. */
  resolve(node: unknown): AnyNode {
    return isAlias(node) ? this.#targets.get(node) : (node as AnyNode);
  }

  /** The pair that gives `key` its value: the map's own, else one that a merge key brings in. */
  find(map: YAMLMap, key: string): Pair | undefined {
    const own = this.#pairsOf(map).get(key);
    if (own !== undefined) return own;
    for (const pair of map.items) {
      if (!isMergeKey(pair)) continue;
      for (const source of this.#mergedBy(pair)) {
        const found = isMap(source) ? this.find(source, key) : undefined;
        if (found !== undefined) return found;
      }
    }
    return undefined;
  }

  #pairsOf(map: YAMLMap): ReadonlyMap<string, Pair> {
    const known = this.#pairs.get(map);
    if (known !== undefined) return known;
    const pairs = new Map<string, Pair>();
    for (const pair of map.items) if (!isMergeKey(pair)) pairs.set(this.#keyOf(pair), pair);
    this.#pairs.set(map, pairs);
    return pairs;
  }

  #fault(node: unknown, expected: string, got: string): void {
    const offset = (node as AnyNode)?.range?.[0] ?? 0;
    if (this.faults.length < FAULTS_MAX) this.faults.push({ offset, expected, got });
  }

  #check(node: AnyNode): void {
    if (node === null || node === undefined) return;
    if (isAlias(node)) {
      const target = this.#anchors.get(node.source);
      if (target !== undefined) this.#targets.set(node, target);
      else {
        const expected = `an anchor &${node.source} before its alias; a literal "*" must be in quotes`;
        this.#fault(node, expected, showGot(`*${node.source}`));
      }
      return;
    }
    const { anchor, tag } = node as { anchor?: string; tag?: string };
    if (anchor !== undefined) this.#anchors.set(anchor, node);
    if (tag !== undefined && !PLAIN_TAG.test(tag)) {
      this.#fault(node, 'a value without a tag', showGot(tag.replace('tag:yaml.org,2002:', '!!')));
    }
    if (isMap(node)) this.#checkMap(node);
    else if (isSeq(node)) for (const item of node.items) this.#check(item as AnyNode);
    else if (isScalar(node)) this.#checkQuotes(node as Node);
  }

  #checkMap(map: YAMLMap): void {
    const keys = new Set<string>();
    for (const pair of map.items) {
      this.#check(pair.key as AnyNode);
      this.#check(pair.value as AnyNode);
      if (isMergeKey(pair)) {
        this.#checkMerge(pair);
        continue;
      }
      const keyNode = this.resolve(pair.key);
      if (keyNode !== null && keyNode !== undefined && !isScalar(keyNode)) {
        this.#fault(pair.key, 'a text as the key', isSeq(keyNode) ? 'a list' : 'a map');
        continue;
      }
      const key = this.#keyOf(pair);
      if (keys.has(key)) this.#fault(pair.key, 'each key once in a map', `${showGot(key)} again`);
      keys.add(key);
    }
  }

  #checkMerge(pair: Pair): void {
    const sources = this.#mergedBy(pair);
    if (sources.every(isMap)) return;
    const odd = sources.find((one) => !isMap(one));
    const got =
      odd === undefined || odd === null ? 'nothing' : describeSecret(isScalar(odd) ? odd.value : []);
    this.#fault(pair.key, 'an alias of a map after the merge key "<<", or a list of them', got);
  }

  /** The package takes a text for whole whose closing quote is escaped, where the file ends there. */
  #checkQuotes(scalar: Node): void {
    const { type } = scalar as { type?: string };
    if (type !== 'QUOTE_DOUBLE' && type !== 'QUOTE_SINGLE') return;
    const [start, end] = scalar.range ?? [0, 0];
    const written = this.#text.slice(start, end);
    const escapes = type === 'QUOTE_DOUBLE' ? (/\\*(?=.$)/s.exec(written)?.[0].length ?? 0) : 0;
    if (written.length > 1 && written.at(-1) === written[0] && escapes % 2 === 0) return;
    this.#fault(scalar, 'a quote that closes the text', `${describeSecret(written)} without it`);
  }

  #mergedBy(pair: Pair): AnyNode[] {
    const source = this.resolve(pair.value);
    return isSeq(source) ? source.items.map((item) => this.resolve(item)) : [source];
  }

  #keyOf({ key }: Pair): string {
    const node = this.resolve(key);
    const value = isScalar(node) ? node.value : '';
    return value === null ? '' : String(value);
  }

  /** Number of values with every alias expanded; each node is walked once. Infinity for a cycle. */
  #sizeOf(given: AnyNode, sizes: Map<Node, number>): number {
    const node = this.resolve(given);
    if (!isMap(node) && !isSeq(node)) return 1;
    const known = sizes.get(node);
    if (known !== undefined) return known;
    sizes.set(node, Number.POSITIVE_INFINITY);
    let size = 1;
    if (isSeq(node)) for (const item of node.items) size += this.#sizeOf(item as AnyNode, sizes);
    else {
      for (const pair of node.items) {
        if (!isMergeKey(pair)) size += this.#sizeOf(pair.value as AnyNode, sizes);
        else for (const source of this.#mergedBy(pair)) size += this.#sizeOf(source, sizes) - 1;
      }
    }
    sizes.set(node, size);
    return size;
  }

  #valueOf(given: AnyNode): unknown {
    const node = this.resolve(given);
    if (node === null || node === undefined) return null;
    if (isScalar(node)) return node.value;
    const known = this.#values.get(node);
    if (known !== undefined) return known;
    const value = isSeq(node)
      ? node.items.map((item) => this.#valueOf(item as AnyNode))
      : this.#valueOfMap(node as YAMLMap);
    this.#values.set(node, value);
    return value;
  }

  #valueOfMap(map: YAMLMap): RawMap {
    const value: RawMap = {};
    for (const pair of map.items) {
      if (!isMergeKey(pair)) define(value, this.#keyOf(pair), this.#valueOf(pair.value as AnyNode));
      else
        for (const source of this.#mergedBy(pair)) {
          for (const [key, entry] of Object.entries(this.#valueOf(source) as RawMap)) {
            if (!Object.hasOwn(value, key)) define(value, key, entry);
          }
        }
    }
    return value;
  }
}

/** Sets a key whatever its name: an assignment to `__proto__` would be none. */
function define(map: RawMap, key: string, value: unknown): void {
  if (key !== '__proto__') map[key] = value;
  else Object.defineProperty(map, key, { value, writable: true, enumerable: true, configurable: true });
}

// With `merge: true` the parsed key has a symbol as its value; its source text stays "<<".
function isMergeKey(pair: Pair): boolean {
  return (
    isScalar(pair.key) &&
    (pair.key.source ?? String(pair.key.value)) === '<<' &&
    pair.key.type !== 'QUOTE_DOUBLE' &&
    pair.key.type !== 'QUOTE_SINGLE'
  );
}
