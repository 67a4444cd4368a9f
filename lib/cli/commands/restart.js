'use strict';

const { CLIENT_OPTIONS } = require('../client-options.js');
const { usageError } = require('../errors.js');
const { perform } = require('../operation.js');

module.exports = {
  name: 'restart',
  summary: 'replace one worker',
  usage: 'SLOT [options]',
  description:
    'Starts another worker in a slot, waits until it is ready, and lets the old one\n' +
    'leave. A number that is no slot is the id of a worker.',
  options: CLIENT_OPTIONS,
  positionals: [1, 1],
  run(values, [slot]) {
    if (!/^\d+$/.test(slot)) {
      throw usageError(
        `restart takes a slot, not '${slot}'`,
        'To replace all workers: rs-cluster reload',
      );
    }
    return perform(values, {
      operation: 'restart',
      body: { slot: Number(slot) },
      title: 'restarting',
      done: () => `slot ${slot} has another worker`,
    });
  },
};
