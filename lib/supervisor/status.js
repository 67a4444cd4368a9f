'use strict';

/**
 * Completes the engine's status by the counts of connections.
 *
 * @param {string} json from the engine
 * @param {{ workers: object }} stats as `cluster.stats()` returns them
 */
function completeStatus(json, { workers }) {
  const status = JSON.parse(json);
  const complete = (it) => ({
    ...it,
    ...connections(workers[it.worker]),
  });
  return {
    ...status,
    slots: status.slots.map(complete),
    draining: status.draining.map(complete),
  };
}

function connections({ open = 0, waiting = 0, handedOver = 0, accepted = 0 } = {}) {
  return { open, waiting, handedOver, accepted };
}

module.exports = completeStatus;
