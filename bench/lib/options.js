'use strict';

const { parse, positiveInteger } = require('../../tools/options.js');
const { UserError } = require('../../tools/user-error.js');

const OPTIONS = {
  rounds: { type: 'string', default: '5' },
  seconds: { type: 'string', default: '3' },
  workers: { type: 'string', default: '2' },
  node: { type: 'string', default: process.execPath },
  json: { type: 'string' },
  help: { type: 'boolean', short: 'h', default: false },
};

function parseOptions(argv) {
  const { values, positionals } = parse(argv, OPTIONS);
  if (positionals.length > 1) {
    throw new UserError(`One scenario at a time, not "${positionals.join(' ')}".`);
  }
  const options = {
    ...values,
    // wrk takes whole seconds only; rounds and workers are whole by nature.
    rounds: positiveInteger('rounds', values.rounds),
    seconds: positiveInteger('seconds', values.seconds),
    workers: positiveInteger('workers', values.workers),
  };
  return { name: positionals[0], options };
}

function usage(scenarios) {
  const lines = scenarios.map(({ name, summary }) => `  ${name.padEnd(14)}${summary}`);
  return `npm run bench -- <scenario> [options]

Scenarios:
${lines.join('\n')}

Options:
  --rounds N      rounds of each opponent (${OPTIONS.rounds.default})
  --seconds S     measured seconds in each round (${OPTIONS.seconds.default})
  --workers N     workers of each opponent (${OPTIONS.workers.default})
  --node PATH     the Node binary that runs the opponents (this one)
  --json FILE     write every round and the summary to FILE as well
`;
}

module.exports = { parseOptions, usage };
