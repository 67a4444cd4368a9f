'use strict';

const { CLIENT_OPTIONS } = require('../client-options.js');
const { perform } = require('../operation.js');

module.exports = {
  name: 'hold',
  summary: 'replace no worker until release, during a deployment',
  usage: '[options]',
  description:
    'From now on no worker is replaced, except by reload and restart: one that was\n' +
    'started during a deployment would run a mixture of two versions.',
  options: CLIENT_OPTIONS,
  examples: ['rs-cluster hold && npm ci && rs-cluster reload; rs-cluster release'],
  run: (values) =>
    perform(values, {
      operation: 'hold',
      title: 'holding',
      done: () => 'no worker is replaced until rs-cluster release',
    }),
};
