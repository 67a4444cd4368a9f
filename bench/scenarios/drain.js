'use strict';

// Every shape of traffic while all workers are replaced, one after the other.

const { replacementScenario } = require('../lib/replacement-scenario.js');
const { findReplacers } = require('../lib/replacers.js');

module.exports = replacementScenario({
  name: 'drain',
  summary: 'what fails while workers are replaced under every shape of traffic',
  what: 'replaced',
  duration: 's to replace all',
  times: 2,
  find: findReplacers,
  figures: [
    { key: 'failedShare', label: 'failed requests', unit: 'per 100,000', digits: 1 },
    { key: 'closed', label: 'closed connections', unit: 'connections', digits: 0 },
  ],
  defaults: { rounds: '2', seconds: '20' },
  quick: { rounds: '1', seconds: '15' },
});
