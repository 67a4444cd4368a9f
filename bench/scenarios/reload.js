'use strict';

// Every shape of traffic while each opponent reloads the program in its own way.

const { findReloaders } = require('../lib/replacers.js');
const { replacementScenario } = require('../lib/replacement-scenario.js');

module.exports = replacementScenario({
  name: 'reload',
  summary: 'what fails while the program is reloaded under every shape of traffic',
  what: 'reloaded',
  duration: 's to reload',
  times: 3,
  find: findReloaders,
  figures: [
    { key: 'failedShare', label: 'failed requests', unit: 'per 100,000', digits: 1 },
    { key: 'closed', label: 'closed connections', unit: 'connections', digits: 0 },
    { key: 'replaced', label: 'time of a reload', unit: 's', digits: 1 },
  ],
  defaults: { rounds: '2', seconds: '20' },
  quick: { rounds: '1', seconds: '15' },
});
