'use strict';

// The statistics of the engine, which come as one array of numbers: src/binding/stats.rs has their order.

/** What `cluster.stats()` returns. */
function readStats({ addresses, numbers }) {
  let at = 0;
  const next = () => numbers[at++];
  const list = () => {
    const length = next();
    at += length;
    return Array.from(numbers.subarray(at - length, at));
  };
  const readListener = (address) => ({
    address,
    workers: list(),
    accepted: next(),
    waiting: next(),
    parked: next(),
    handoverTimes: list(),
    handedOver: next(),
    reclaimed: next(),
    rescued: next(),
    returned: next(),
    moved: next(),
  });
  const readWorker = () => ({
    accepted: next(),
    waiting: next(),
    open: next(),
    stalled: next() === 1,
    handedOver: next(),
    reclaimed: next(),
    rescued: next(),
    returned: next(),
    moved: next(),
  });
  const listeners = addresses.map(readListener);
  const workers = {};
  while (at < numbers.length) {
    const id = next();
    workers[id] = readWorker();
  }
  return { listeners, workers };
}

module.exports = { readStats };
