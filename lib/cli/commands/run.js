'use strict';

const { RUN_OPTIONS } = require('../run-options.js');

const NOT_OURS = 'To start again when files change, use Node itself: node --watch';
const DAEMON =
  'It stays in the foreground: a service manager keeps it running (rs-cluster systemd)';

/** What people type who know PM2. */
const notOurs = {
  '--watch': NOT_OURS,
  '--ignore-watch': NOT_OURS,
  '--daemon': DAEMON,
  '-d': DAEMON,
  '--no-daemon': 'It never is a daemon: leave this out',
  '--instances': 'The number of workers is --workers',
  '-i': 'The number of workers is -w or --workers',
  '--max-memory-restart': 'The limit of memory is --max-memory',
  '--wait-ready': 'Use --ready-when ready',
  '--listen-timeout': 'The time until a worker must be ready is --ready-timeout',
};

module.exports = {
  name: 'run',
  summary: 'run a program in supervised workers',
  usage: '[options] PROGRAM [args…]',
  description: 'Options before PROGRAM; what follows it is its own. TIME: 500ms, 30s, 5m, 1h.',
  options: RUN_OPTIONS,
  positionals: [0, Number.POSITIVE_INFINITY],
  isProgramLast: true,
  isServer: true,
  isDense: true,
  notOurs,
  async run(values, positionals) {
    // Before anything else, because the name is longer than the command line may be.
    const { toSuperviseOptions } = require('../supervise-options.js');
    const { options, policy, warnings, prefix, log } = toSuperviseOptions(values, positionals);
    const { warningEntry, writerOf } = require('../../supervisor/log.js');
    const write = writerOf(log);
    if (write !== undefined) {
      process.removeAllListeners('warning');
      process.on('warning', (warning) => write(warningEntry(warning)));
    }
    for (const warning of warnings) process.emitWarning(warning, 'ConfigWarning');
    const supervise = require('../supervise.js');
    const supervisor = supervise({ ...options, log: write ?? false }, policy, {
      prefix,
      reapOrphans: process.pid === 1,
    });
    process.title = `rs-cluster: ${nameOf(supervisor, options)}`;
    supervisor.ready().catch(() => {});
    if (log === false) {
      supervisor.on('failed', ({ reason }) => {
        process.stderr.write(`rs-cluster: ${reason.split('\n')[0]}\n`);
      });
    }
    return undefined;
  },
};

function nameOf(supervisor, { name, exec }) {
  return supervisor.status().name ?? name ?? require('node:path').parse(exec).name;
}
