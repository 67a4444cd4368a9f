'use strict';

const { CliError, EXIT, toJson, writeError } = require('../errors.js');
const { duration } = require('../format.js');
const { RUN_OPTIONS } = require('../run-options.js');

/** What has no meaning for one worker that does not serve. */
const UNUSED = ['admin', 'control', 'log', 'no-control', 'prefix', 'workers'];

module.exports = {
  name: 'check',
  summary: 'start a program until it is ready, without serving',
  usage: '[options] PROGRAM [args…]',
  description:
    'Starts one worker until it is ready, and ends it. It binds no address, so it can\n' +
    'run beside the program that serves. Prints where the program listens, and how\n' +
    'long it took; exits with 1 if it fails. Takes the options of run as well.',
  options: [
    { name: 'json', boolean: true, help: 'print JSON' },
    ...RUN_OPTIONS.map((it) => ({ ...it, shownBy: 'json' })).filter(({ name }) => name),
  ],
  examples: ['rs-cluster check server.js && rs-cluster reload'],
  positionals: [0, Number.POSITIVE_INFINITY],
  isProgramLast: true,
  isServer: true,
  async run(values, positionals) {
    try {
      const result = await check(values, positionals);
      process.stdout.write(values.json ? `${JSON.stringify(result)}\n` : text(result));
      return EXIT.done;
    } catch (error) {
      if (!values.json) throw error;
      process.stdout.write(`${JSON.stringify(toJson(error))}\n`);
      return error.exitCode ?? EXIT.failed;
    }
  },
};

async function check(values, positionals) {
  const { toSuperviseOptions } = require('../supervise-options.js');
  const given = Object.entries(values).filter(([name]) => !UNUSED.includes(name));
  const made = await toSuperviseOptions('check', Object.fromEntries(given), positionals);
  for (const warning of made.warnings) writeError(`warning: ${warning}`);
  const { slotEnv, policy, options } = made;
  const supervise = require('../supervise.js');
  const began = performance.now();
  const supervisor = supervise(
    { ...options, workers: 1, maxSurge: 1, maxRestarts: 0, log: false, ...withoutSockets() },
    policy,
    { slotEnv, rehearse: true, reapOrphans: process.pid === 1 },
  );
  try {
    await supervisor.ready();
    const ms = Math.round(performance.now() - began);
    const { listeners } = require('../../../index.js').stats();
    return { listeners: listeners.map(({ address }) => address), ms };
  } catch (error) {
    throw explain(error);
  } finally {
    await supervisor.stop({ timeout: 0 });
    process.exitCode = undefined;
  }
}

/** The primary serves neither of its own sockets. */
function withoutSockets() {
  return { control: false, admin: false };
}

function explain(error) {
  const { cause, message, code, ...details } = error;
  if (code === 'ERR_RS_CLUSTER_SUPERVISOR_STOPPED') {
    return new CliError('stopped before the program was ready', { code });
  }
  const [line] = (cause ?? error).message.split('. The end of its stderr:\n');
  const text = line
    .replace("readyWhen: 'ready'", '--ready-when ready')
    .replace('readyTimeout, ', '--ready-timeout, ');
  // The worker has written the rest to the stderr of this process, too.
  return new CliError(`the program does not start: ${text}`, {
    code: cause?.code ?? code,
    details,
  });
}

function text({ listeners, ms }) {
  const where = listeners.length > 0 ? `listens on ${listeners.join(', ')}` : 'listens nowhere';
  return `ready after ${duration(ms)}, ${where}\n`;
}
