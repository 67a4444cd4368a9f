'use strict';

/**
 * Finds a shorter list that still fails, by leaving out smaller and smaller parts (delta debugging).
 *
 * @template T
 * @param {T[]} list
 * @param {(candidate: T[]) => Promise<boolean>} fails
 * @returns {Promise<T[]>}
 */
async function minimize(list, fails) {
  let smallest = list;
  for (
    let size = Math.ceil(list.length / 2);
    size >= 1;
    size = size === 1 ? 0 : Math.ceil(size / 2)
  ) {
    for (let start = 0; start < smallest.length; ) {
      const candidate = smallest.toSpliced(start, size);
      if (await fails(candidate)) smallest = candidate;
      else start += size;
    }
  }
  return smallest.length < list.length ? minimize(smallest, fails) : smallest;
}

module.exports = { minimize };
