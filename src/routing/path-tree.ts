// A tree of paths: the exact path or the longest prefix of a request's path, in one walk over its bytes, however many there
// are. Knows nothing of hosts. Compare nginx's tree of static locations in ngx_http_core_module.c.

interface TreeNode<T> {
  /** Bytes on the way from the parent. */
  label: Buffer;
  /** By their first byte. */
  readonly children: Map<number, TreeNode<T>>;
  exact: T | null;
  prefix: T | null;
}

/** The label of every root: a configuration may have a tree for each of ten thousand hosts. */
const NO_LABEL = Buffer.alloc(0);

/** Built once, with its generation; then only read. */
export class PathTree<T> {
  readonly #root: TreeNode<T> = node(NO_LABEL);

  /** What is at this exact path, or at the prefix; undefined is not kept. */
  at(path: Buffer, isExact: boolean, make: () => T): T {
    const end = this.#insert(path);
    if (isExact) end.exact ??= make();
    else end.prefix ??= make();
    return (isExact ? end.exact : end.prefix)!;
  }

  /** What is at the path bytes[start, end), else at its longest prefix; null for nothing. */
  find(bytes: Uint8Array, start: number, end: number): T | null {
    let current = this.#root;
    let best = current.prefix;
    let at = start;
    while (at < end) {
      const next = current.children.get(bytes[at]!);
      if (next === undefined) return best;
      const { label } = next;
      if (end - at < label.length) return best;
      for (let i = 1; i < label.length; i++) if (bytes[at + i] !== label[i]) return best;
      at += label.length;
      current = next;
      if (current.prefix !== null) best = current.prefix;
    }
    return current.exact ?? best;
  }

  #insert(path: Buffer): TreeNode<T> {
    let current = this.#root;
    let at = 0;
    while (at < path.length) {
      const next = current.children.get(path[at]!);
      if (next === undefined) {
        const leaf = node<T>(path.subarray(at));
        current.children.set(path[at]!, leaf);
        return leaf;
      }
      const { label } = next;
      let same = 1;
      while (same < label.length && at + same < path.length && label[same] === path[at + same]) same++;
      if (same < label.length) {
        const middle = node<T>(label.subarray(0, same));
        next.label = label.subarray(same);
        middle.children.set(next.label[0]!, next);
        current.children.set(path[at]!, middle);
        current = middle;
      } else current = next;
      at += same;
    }
    return current;
  }
}

function node<T>(label: Buffer): TreeNode<T> {
  return { label, children: new Map(), exact: null, prefix: null };
}
