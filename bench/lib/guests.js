'use strict';

const { UserError } = require('../../tools/user-error.js');

/**
 * Wraps `measure`: its failure with a guest becomes a result with a `failure`, and is not tried again,
 * because each try might take the whole time limit. With other opponents a failure ends the run.
 */
function sparingGuests(measure) {
  const failed = new Map();
  return async (opponent, round) => {
    if (failed.has(opponent)) return failed.get(opponent);
    try {
      return await measure(opponent, round);
    } catch (error) {
      if (!opponent.isGuest || !(error instanceof UserError)) throw error;
      failed.set(opponent, { failure: error.message });
      return failed.get(opponent);
    }
  };
}

module.exports = { sparingGuests };
