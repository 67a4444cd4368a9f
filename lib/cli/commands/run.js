'use strict';

const UPGRADE_VARIABLE = require('../../supervisor/upgrade-variable.js');
const { whenNpmEnds } = require('../npm.js');
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
  description: 'Options before PROGRAM, or right after it up to --. TIME: 500ms, 30s, 5m, 1h.',
  options: RUN_OPTIONS,
  positionals: [0, Number.POSITIVE_INFINITY],
  isProgramLast: true,
  isServer: true,
  isDense: true,
  notOurs,
  async run(values, positionals) {
    if (UPGRADE_VARIABLE in process.env) return takeOver(values, positionals);
    return start(values, positionals);
  },
};

/** As the successor of a primary, which goes on if this one does not start, and is told why. */
async function takeOver(values, positionals) {
  const takeover = require('../../supervisor/takeover.js');
  takeover.claim();
  try {
    await start(values, positionals, takeover.isAwaited);
  } catch (error) {
    takeover.fail(error);
    throw error;
  }
}

async function start(values, positionals, isSuccessor = false) {
  const { toSuperviseOptions } = require('../supervise-options.js');
  const made = await toSuperviseOptions('run', values, positionals);
  const log = values.log ?? made.options.log ?? 'text';
  const write = startLog(log === 'none' ? false : log);
  for (const warning of made.warnings) process.emitWarning(warning, 'ConfigWarning');
  const options = { ...made.options, log: write ?? false };
  const supervise = require('../supervise.js');
  const { programName } = require('../../supervisor/program-name.js');
  const supervisor = supervise(options, made.policy, {
    prefix: values.prefix ?? false,
    slotEnv: made.slotEnv,
    reapOrphans: process.pid === 1,
  });
  const name = options.name ?? programName({ settings: options });
  process.title = `rs-cluster: ${name}`;
  // A primary that has been upgraded to is not a child of npm.
  if (!isSuccessor) whenNpmEnds(() => process.kill(process.pid, 'SIGTERM'));
  if (write === undefined) supervisor.on('failed', reportFailure);
}

/** The function that logs an entry. Warnings of this process are entries, too. */
function startLog(log) {
  const { checkLog, warningEntry, writerOf } = require('../../supervisor/log.js');
  checkLog('log', log);
  const write = writerOf(log);
  if (write === undefined) return undefined;
  process.removeAllListeners('warning');
  process.on('warning', (warning) => write(warningEntry(warning)));
  return write;
}

function reportFailure({ reason }) {
  const { writeError } = require('../errors.js');
  writeError(reason.split('. The end of its stderr:')[0]);
}
