'use strict';

const { UserError } = require('../../tools/user-error.js');

/** After so many failures an opponent is not tried again, because each try might take the whole time limit. */
const TRIES = 2;

/** Wraps `measure`: a failure of an opponent becomes a round with a `failure`, and the others go on. */
function sparingOthers(measure) {
  const failures = new Map();
  return async (opponent, round) => {
    const failed = failures.get(opponent) ?? [];
    if (failed.length === TRIES) return { failure: failed.at(-1), isLeftOut: true };
    try {
      return await measure(opponent, round);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      failures.set(opponent, [...failed, error.message]);
      return { failure: error.message };
    }
  };
}

/** One line for each round that failed, and one if there were no more. */
function describeFailures(where, rounds) {
  const lines = rounds.flatMap(({ failure, isLeftOut }, index) =>
    failure && !isLeftOut ? [`! ${where}, round ${index + 1} failed: ${failure}`] : [],
  );
  const rest = rounds.filter(({ isLeftOut }) => isLeftOut).length;
  return rest > 0 ? [...lines, `! ${where}: left out of ${rest} more rounds`] : lines;
}

module.exports = { describeFailures, sparingOthers };
