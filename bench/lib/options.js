'use strict';

const { parse, positiveInteger } = require('../../tools/options.js');
const { UserError } = require('../../tools/user-error.js');

// Of scenarios that have none of their own.
const DEFAULTS = { rounds: '5', seconds: '3', workers: '2' };

const OPTIONS = {
  rounds: { type: 'string' },
  seconds: { type: 'string' },
  workers: { type: 'string' },
  node: { type: 'string', default: process.execPath },
  json: { type: 'string' },
  only: { type: 'string' },
  bun: { type: 'string' },
  help: { type: 'boolean', short: 'h', default: false },
};

function positiveNumber(name, text) {
  if (!/^\d{1,6}(\.\d{1,3})?$/.test(text) || Number(text) === 0) {
    throw new UserError(`--${name} must be a number above 0, not "${text}".`);
  }
  return Number(text);
}

/** The scenario asked for, if any, and what was said of options. */
function parseArguments(argv) {
  const { values, positionals } = parse(argv, OPTIONS);
  if (positionals.length > 1) {
    throw new UserError(`One scenario at a time, not "${positionals.join(' ')}".`);
  }
  return { name: positionals[0], given: values };
}

/** What was given, completed by the scenario's own defaults and the common ones. */
function completeOptions(given, { defaults }) {
  const options = { ...DEFAULTS, ...defaults, ...given };
  return {
    ...options,
    rounds: positiveInteger('rounds', options.rounds),
    seconds: positiveNumber('seconds', options.seconds),
    workers: positiveInteger('workers', options.workers),
  };
}

function usage(scenarios) {
  const lines = scenarios.map(({ name, summary }) => `  ${name.padEnd(14)}${summary}`);
  const defaultOf = (option) => {
    const others = scenarios.filter(({ defaults }) => defaults?.[option]);
    const own = others.map(({ name, defaults }) => `; ${name}: ${defaults[option]}`);
    return `(${DEFAULTS[option]}${own.join('')})`;
  };
  return `npm run bench -- <scenario> [options]

Scenarios:
${lines.join('\n')}

Options:
  --rounds N      rounds of each opponent ${defaultOf('rounds')}
  --seconds S     measured seconds in each round ${defaultOf('seconds')}
  --workers N     workers of each opponent ${defaultOf('workers')}
  --node PATH     the Node binary that runs the opponents (this one)
  --json FILE     write every round and the summary to FILE as well
  --only PATTERN  ipc: only the cases with PATTERN, a regular expression, in their names
  --bun PATH|npm  ipc: Bun takes part, by its binary or fetched by npm
`;
}

module.exports = { completeOptions, parseArguments, usage };
