'use strict';

// Every shape of traffic while the whole program is replaced, its primary too, by each opponent in its own way.

const { replacementScenario } = require('../lib/replacement-scenario.js');
const { findUpgraded } = require('../lib/upgraded.js');

module.exports = replacementScenario({
  name: 'upgrade',
  summary: 'what fails while the primary itself is replaced under every shape of traffic',
  subject: 'primary',
  what: 'upgraded',
  duration: 's to upgrade',
  times: 2,
  find: findUpgraded,
  figures: [
    { key: 'failedShare', label: 'failed requests', unit: 'per 100,000', digits: 1 },
    { key: 'closed', label: 'closed connections', unit: 'connections', digits: 0 },
    { key: 'longest', label: 'longest wait', unit: 'ms', digits: 0 },
    { key: 'replaced', label: 'time of an upgrade', unit: 's', digits: 1 },
  ],
  defaults: { rounds: '2', seconds: '20' },
  quick: { rounds: '1', seconds: '15' },
});
