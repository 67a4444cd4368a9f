'use strict';

const { sparingOthers } = require('./failing.js');

function rotate(list, count) {
  const start = count % list.length;
  return [...list.slice(start), ...list.slice(0, start)];
}

/**
 * Measures every opponent once in each round, and begins each round with a different one, so that neither
 * the drift of the machine nor a place in the order favors an opponent.
 *
 * Returns the opponents with their `rounds`, in the given order. A round in which an opponent failed has only its
 * `failure`.
 */
async function interleave(opponents, rounds, measure) {
  const results = new Map(opponents.map((opponent) => [opponent, []]));
  const measureOne = sparingOthers(measure);
  for (let round = 0; round < rounds; round++) {
    for (const opponent of rotate(opponents, round)) {
      const measured = await measureOne(opponent, round + 1);
      results.get(opponent).push(measured);
      if (measured.failure && !measured.isLeftOut) {
        const where = `round ${round + 1}/${rounds}  ${opponent.name}`;
        process.stderr.write(`${where}  ! ${measured.failure}\n`);
      }
    }
  }
  return opponents.map((opponent) => ({ ...opponent, rounds: results.get(opponent) }));
}

module.exports = { interleave };
