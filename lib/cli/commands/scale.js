'use strict';

const { CLIENT_OPTIONS } = require('../client-options.js');
const { usageError } = require('../errors.js');
const { plural } = require('../format.js');
const { perform } = require('../operation.js');

const COUNT = /^(?:[1-9]\d*|[+-][1-9]\d*|auto)$/;

module.exports = {
  name: 'scale',
  summary: 'change the number of workers',
  usage: 'N|+N|-N|auto [options]',
  description:
    'Starts workers, and waits until they are ready; or lets those of the highest\n' +
    'slots leave. auto is one for each processor that the primary may use.',
  options: CLIENT_OPTIONS,
  positionals: [1, 1],
  takesNegative: true,
  words: ['auto'],
  examples: ['rs-cluster scale 8', 'rs-cluster scale -1'],
  run(values, [count]) {
    if (!COUNT.test(count)) {
      throw usageError(`scale takes a number, +1, -1 or auto, not '${count}'`);
    }
    const workers = /^\d/.test(count) ? Number(count) : count;
    return perform(values, {
      operation: 'scale',
      body: { workers },
      title: 'scaling',
      done: (value) => plural(value, 'worker'),
    });
  },
};
