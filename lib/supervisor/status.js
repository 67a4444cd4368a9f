'use strict';

const { readFileSync } = require('node:fs');

const KIB = 1024;

/**
 * Completes the engine's status by what the system knows of the processes, and by the counts of connections.
 *
 * @param {string} json from the engine
 * @param {{ workers: object }} stats as `cluster.stats()` returns them
 */
function completeStatus(json, { workers }) {
  const status = JSON.parse(json);
  const complete = (it) => ({
    ...it,
    memory: memoryOf(it.pid),
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

/** The resident memory of a process in bytes; null if it is not known. */
function memoryOf(pid) {
  if (pid === null) return null;
  try {
    const [, size] =
      /^VmRSS:\s*(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1')) ?? [];
    return size === undefined ? null : Number(size) * KIB;
  } catch {
    // It has just ended, or the system has no such files.
    return null;
  }
}

module.exports = completeStatus;
