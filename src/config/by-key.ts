// Groups values by a key, as Map.groupBy does, which Node 20 does not have: the library runs there. The program alone,
// which needs a newer Node, may use Map.groupBy itself.

/** The values of each key, in their order; keys in the order of their first value. */
export function byKey<Key, Value>(
  values: Iterable<Value>,
  keyOf: (value: Value) => Key,
): Map<Key, [Value, ...Value[]]> {
  const found = new Map<Key, [Value, ...Value[]]>();
  for (const value of values) {
    const key = keyOf(value);
    const same = found.get(key);
    if (same === undefined) found.set(key, [value]);
    else same.push(value);
  }
  return found;
}
