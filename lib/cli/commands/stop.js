'use strict';

const { CLIENT_OPTIONS } = require('../client-options.js');
const { perform } = require('../operation.js');
const { time } = require('../values.js');

module.exports = {
  name: 'stop',
  summary: 'stop the primary and its workers',
  usage: '[options]',
  description:
    'Lets all workers finish what they serve, and waits until they and the primary\n' +
    'have ended. What is left after the drain time is cut off.',
  options: [
    {
      name: 'drain-timeout',
      value: 'TIME',
      parse: time,
      help: 'time for the workers, instead of that of run: 500ms, 30s',
    },
    ...CLIENT_OPTIONS,
  ],
  run: (values) => {
    const drainTimeout = values['drain-timeout'];
    return perform(values, {
      operation: 'stop',
      body: drainTimeout === undefined ? {} : { timeout: drainTimeout },
      title: 'stopping',
      done: (_value, { name }) => `${name ?? 'the primary'} has stopped`,
    });
  },
};
