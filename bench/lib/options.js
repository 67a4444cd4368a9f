'use strict';

const { parse, positiveInteger } = require('../../tools/options.js');
const { UserError } = require('../../tools/user-error.js');

// The defaults for scenarios that do not have their own.
const DEFAULTS = { rounds: '5', seconds: '3', workers: '2', rate: '1000' };

const OPTIONS = {
  rounds: { type: 'string' },
  seconds: { type: 'string' },
  workers: { type: 'string' },
  rate: { type: 'string' },
  node: { type: 'string', default: process.execPath },
  json: { type: 'string' },
  only: { type: 'string' },
  bun: { type: 'string' },
  against: { type: 'string' },
  write: { type: 'boolean', default: false },
  quick: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
};

function positiveNumber(name, text) {
  if (!/^\d{1,6}(\.\d{1,3})?$/.test(text) || Number(text) === 0) {
    throw new UserError(`--${name} must be a number above 0, not "${text}".`);
  }
  return Number(text);
}

function positiveIntegers(name, text) {
  return text.split(',').map((item) => positiveInteger(name, item));
}

/** The requested scenario, if any, and the given options. */
function parseArguments(argv) {
  const { values, positionals } = parse(argv, OPTIONS);
  if (positionals.length > 1) {
    throw new UserError(`One scenario at a time, not "${positionals.join(' ')}".`);
  }
  const [name] = positionals;
  const alone = ['workers', 'rate', 'json', 'only', 'against'].find((option) => option in values);
  if (!name && alone) throw new UserError(`--${alone} needs a scenario.`);
  if (values.against && values.write) {
    throw new UserError('--write keeps figures of this checkout: it takes no --against.');
  }
  return { name, given: values };
}

/** The given options, completed by the scenario's own defaults and the common ones. */
function completeOptions(given, { defaults, quick }) {
  const options = { ...DEFAULTS, ...defaults, ...(given.quick && quick), ...given };
  return {
    ...options,
    rounds: positiveInteger('rounds', options.rounds),
    seconds: positiveNumber('seconds', options.seconds),
    workers: positiveIntegers('workers', options.workers),
    rate: positiveInteger('rate', options.rate),
  };
}

function usage(scenarios) {
  const lines = scenarios.map(({ name, summary }) => `  ${name.padEnd(17)}${summary}`);
  const defaultOf = (option) => {
    const others = scenarios.filter(({ defaults }) => defaults?.[option]);
    const own = others.map(({ name, defaults }) => `; ${name}: ${defaults[option]}`);
    return `(${DEFAULTS[option]}${own.join('')})`;
  };
  return `npm run bench -- [scenario] [options]

Without a scenario runs all, keeps the results in bench/results and makes tables and charts of them,
in README.md and docs/benchmarks.md, which "npm run bench:report" does alone.

Scenarios:
${lines.join('\n')}

Options:
  --rounds N      rounds of each opponent ${defaultOf('rounds')}
  --seconds S     measured seconds in each round ${defaultOf('seconds')}
  --quick         fewer and shorter rounds, which takes about 25 minutes
  --node PATH     the Node binary that runs the opponents (this one)
  --bun PATH|npm  Bun takes part, by its binary or fetched by npm

Options of a scenario:
  --workers N     workers of each opponent, several numbers as 2,4 ${defaultOf('workers')}
  --rate N        connections a second, of latency and stalled-worker ${defaultOf('rate')}
  --only PATTERN  only the cases with PATTERN, a regular expression, in their names
  --against PATH  another checkout of rs-cluster, built, takes part
  --json FILE     write every round and the summary to FILE as well
  --write         keep the result, and make table and charts, as without a scenario
`;
}

module.exports = { completeOptions, parseArguments, usage };
