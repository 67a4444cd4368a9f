'use strict';

const os = require('node:os');
const { parse, positiveInteger } = require('../../tools/options.js');
const { UserError } = require('../../tools/user-error.js');

const OPTIONS = {
  node: { type: 'string', multiple: true, default: [process.execPath] },
  rounds: { type: 'string', default: '1' },
  load: { type: 'boolean', default: false },
  only: { type: 'string', default: '' },
  jobs: { type: 'string', default: `${os.availableParallelism()}` },
  timeout: { type: 'string', default: '60' },
  help: { type: 'boolean', short: 'h', default: false },
};

const USAGE = `npm run conformance -- [DIRECTORY] [options]

Runs upstream's cluster tests on the engine. DIRECTORY is a Node source tree; without it, Debian's
source package is fetched by apt-get, once.

Options:
  --node WHICH    a Node binary: its path, or a version for npm to fetch, as 26 (this one); may be
                  given several times
  --rounds N      how often each file is to pass (${OPTIONS.rounds.default})
  --load          keep all cores busy meanwhile
  --only PATTERN  only files whose name matches this regular expression
  --jobs N        files that run at the same time (one for each core: ${OPTIONS.jobs.default})
  --timeout S     seconds a file may take (${OPTIONS.timeout.default})
`;

function parseOptions(argv) {
  const { values, positionals } = parse(argv, OPTIONS);
  if (positionals.length > 1) {
    throw new UserError(`One directory at a time, not "${positionals.join(' ')}".`);
  }
  return {
    ...values,
    directory: positionals[0],
    only: toPattern(values.only),
    rounds: positiveInteger('rounds', values.rounds),
    jobs: positiveInteger('jobs', values.jobs),
    limit: positiveInteger('timeout', values.timeout) * 1000,
  };
}

function toPattern(text) {
  try {
    return new RegExp(text);
  } catch (error) {
    throw new UserError(`--only ${text}: ${error.message}`);
  }
}

module.exports = { USAGE, parseOptions };
