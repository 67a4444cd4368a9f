'use strict';

const { CLIENT_OPTIONS } = require('../client-options.js');
const { duration } = require('../format.js');
const { perform } = require('../operation.js');

module.exports = {
  name: 'reload',
  summary: 'replace all workers by the new version of the program',
  usage: '[options]',
  description:
    'Replaces all workers by ones that run the program as it is now, without losing\n' +
    'a request, and waits until that is done. If the new version does not work, the\n' +
    'old one stays, and the exit code is 1.',
  options: CLIENT_OPTIONS,
  run: (values) =>
    perform(values, {
      operation: 'reload',
      title: 'reloading',
      done: ({ generation, ms }) => `generation ${generation} is in force after ${duration(ms)}`,
    }),
};
