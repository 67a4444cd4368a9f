'use strict';

function rotate(list, count) {
  const start = count % list.length;
  return [...list.slice(start), ...list.slice(0, start)];
}

/**
 * Measures every opponent once in each round, and begins each round with a different one, so that neither
 * the drift of the machine nor a place in the order favors an opponent.
 *
 * Returns the opponents with their `rounds`, in the given order.
 */
async function interleave(opponents, rounds, measure) {
  const results = new Map(opponents.map((opponent) => [opponent, []]));
  for (let round = 0; round < rounds; round++) {
    for (const opponent of rotate(opponents, round)) {
      results.get(opponent).push(await measure(opponent, round + 1));
    }
  }
  return opponents.map((opponent) => ({ ...opponent, rounds: results.get(opponent) }));
}

module.exports = { interleave };
