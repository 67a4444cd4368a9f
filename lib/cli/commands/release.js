'use strict';

const { CLIENT_OPTIONS } = require('../client-options.js');
const { perform } = require('../operation.js');

module.exports = {
  name: 'release',
  summary: 'end hold',
  usage: '[options]',
  description: 'Ends hold: workers are replaced again, and empty slots filled.',
  options: CLIENT_OPTIONS,
  run: (values) =>
    perform(values, {
      operation: 'release',
      title: 'releasing',
      done: () => 'workers are replaced again',
    }),
};
