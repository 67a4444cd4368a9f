'use strict';

const { UserError } = require('../../tools/user-error.js');

// The scenarios are in the order in which they run, and are reported.
const NAMES = [
  'connections',
  'calls',
  'latency',
  'keep-alive',
  'slow-turns',
  'blocked-primary',
  'stalled-worker',
  'drain',
  'reload',
  'upgrade',
  'operators',
  'scale',
  'footprint',
  'fork',
  'ipc',
];

function loadScenario(name) {
  if (!NAMES.includes(name)) {
    throw new UserError(`No scenario "${name}". There is: ${NAMES.join(', ')}.`);
  }
  return { name, ...require(`../scenarios/${name}.js`) };
}

function loadScenarios() {
  return NAMES.map(loadScenario);
}

module.exports = { loadScenario, loadScenarios, scenarioNames: NAMES };
