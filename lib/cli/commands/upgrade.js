'use strict';

const path = require('node:path');
const { CLIENT_OPTIONS } = require('../client-options.js');
const { CliError } = require('../errors.js');
const { duration } = require('../format.js');
const { perform } = require('../operation.js');
const { seconds } = require('../values.js');

/** How much later than the primary this command gives up, in milliseconds. */
const GRACE = 10_000;
/** How long a new primary may take to answer after the old one has been killed, in milliseconds. */
const PATIENCE = 120_000;

module.exports = {
  name: 'upgrade',
  summary: 'replace the primary too: Node, this package, options',
  usage: '[options]',
  description:
    'Starts another primary by the command of the running one, with workers of its\n' +
    'own, and lets it take over all sockets and connections when they are ready. So\n' +
    'a new version of Node or rs-cluster, and changed options, go into force without\n' +
    'losing a request. If the new one does not work, the old one goes on, and the\n' +
    'exit code is 1.',
  options: [
    {
      name: 'node',
      value: 'PATH',
      is: 'file',
      help: 'another Node, instead of that of the command',
    },
    {
      name: 'directory',
      value: 'DIR',
      is: 'directory',
      help: 'another directory, instead of where the link leads now',
    },
    {
      name: 'timeout',
      value: 'S',
      parse: seconds,
      help: 'go back after so many seconds (default: 120)',
    },
    ...CLIENT_OPTIONS.filter(({ name }) => name !== 'timeout'),
  ],
  examples: ['rs-cluster upgrade --node /opt/node-24/bin/node'],
  run({ timeout, ...values }) {
    const began = Date.now();
    const execPath = values.node && nodeAt(values.node);
    const directory = values.directory && placeOf(values.directory);
    return perform(values, {
      operation: 'upgrade',
      body: { directory, execPath, timeout },
      patience: timeout && timeout + GRACE,
      recover: (client, before) => resultOf(client, before, { began, patience: timeout }),
      title: 'upgrading',
      done: ({ pid, generation, ms }) =>
        `process ${pid} serves generation ${generation} after ${duration(ms)}`,
    });
  },
};

/** Another primary answers, and its workers are of the next generation: it has taken over. */
async function resultOf(client, before, { began, patience = PATIENCE }) {
  const { pid, generation } = await client.status(patience);
  // One that a service manager has started anew begins with the first generation.
  const isNext = pid !== before.pid && generation > before.generation;
  return isNext ? { pid, generation, ms: Date.now() - began } : undefined;
}

/** By the name of a link that the shell is in, so that later upgrades follow it. */
function placeOf(given) {
  const Directory = require('../../supervisor/directory.js');
  return path.resolve(new Directory().path, given);
}

/** The file of a command, as a shell finds it here. */
function nodeAt(given) {
  const { absolute, checkExecutable, lookUp } = require('../../supervisor/node-path.js');
  const file = lookUp(absolute(given, process.cwd()));
  if (file === undefined)
    throw new CliError(`--node: there is no ${given} in $PATH`, { code: 'ENOENT' });
  try {
    checkExecutable(file);
  } catch ({ code }) {
    throw new CliError(`--node: ${file} can't be executed (${code})`, { code });
  }
  return file;
}
