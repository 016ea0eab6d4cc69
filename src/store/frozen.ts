/** Documents as values: copied on the way in, frozen ever after, and the same after a trip through JSON. */

/**
 * Copies `value` as JSON does (undefined fields vanish), so that no caller's later change reaches the store, and the memory store keeps
 * exactly what a database would give back.
 * @throws TypeError for what JSON cannot hold: a cycle, a bigint
 */
export function copyOf<Value>(value: Value): Value {
  return JSON.parse(JSON.stringify(value)) as Value;
}

/** Freezes `value` and all that it holds. For trees just made by JSON.parse: it does not look for cycles. */
export function deepFreeze<Value extends object>(value: Value): Value {
  for (const child of Object.values(value)) {
    if (typeof child === 'object' && child !== null) {
      deepFreeze(child);
    }
  }
  return Object.freeze(value);
}
