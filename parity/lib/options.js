'use strict';

const os = require('node:os');
const path = require('node:path');
const { parse, positiveInteger } = require('../../tools/options.js');
const { UserError } = require('../../tools/user-error.js');

const ROOT = path.join(__dirname, '..', '..');

const OPTIONS = {
  node: { type: 'string', multiple: true, default: [process.execPath] },
  seed: { type: 'string', default: '1' },
  programs: { type: 'string', default: '100' },
  jobs: { type: 'string', default: `${2 * os.availableParallelism()}` },
  timeout: { type: 'string', default: '3' },
  implementation: { type: 'string', default: ROOT },
  print: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
};

const USAGE = `npm run parity -- [options]

Runs small random programs under node:cluster and under rs-cluster, and compares what they trace.

Options:
  --node WHICH    a Node binary: its path, or a version for npm to fetch, as 26 (this one); may be
                  given several times
  --seed N        of the first program; the next ones have the next numbers (${OPTIONS.seed.default})
  --programs M    how many (${OPTIONS.programs.default})
  --jobs N        that run at the same time (two for each core: ${OPTIONS.jobs.default})
  --timeout S     seconds after which a program is taken to hang (${OPTIONS.timeout.default})
  --implementation PATH
                  another module to compare with node:cluster (this project)
  --print         only print the programs
`;

function parseOptions(argv) {
  const { values, positionals } = parse(argv, OPTIONS);
  if (positionals.length > 0) throw new UserError(`Unknown argument "${positionals[0]}".`);
  if (!/^\d{1,9}$/.test(values.seed)) throw new UserError(`--seed must be a whole number.`);
  return {
    ...values,
    implementation: path.resolve(values.implementation),
    seed: Number(values.seed),
    programs: positiveInteger('programs', values.programs),
    jobs: positiveInteger('jobs', values.jobs),
    limit: positiveInteger('timeout', values.timeout) * 1000,
  };
}

module.exports = { USAGE, parseOptions };
