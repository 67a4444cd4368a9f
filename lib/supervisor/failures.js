'use strict';

// The errors of promises that the engine rejects. Its report has the facts.

const { signals } = require('node:os').constants;
const { getSystemErrorName } = require('node:util');
const errors = require('../errors.js');

/** What separates the message from what the worker wrote last. */
const STDERR_FOLLOWS = '. The end of its stderr:\n';

/** What has failed, by the engine's word for it: the rest of the error's code, and its message. */
const WORDS = {
  exited: ['WORKER_EXITED', (it) => `${who(it)} exited with ${how(it)} ${when(it)}`],
  timeout: ['READY_TIMEOUT', (it, options) => `${who(it)} was not ready ${inTime(it, options)}`],
  fork: ['WORKER_NOT_STARTED', (it) => `${who(it)} could not be started ${when(it)}: ${cause(it)}`],
  hung: [
    'WORKER_HUNG',
    (it) => `the event loop of ${who(it)} was blocked for hungTimeout ${when(it)}`,
  ],
  memory: ['WORKER_MEMORY', (it) => `${who(it)} used more than maxMemory ${when(it)}`],
  fault: ['PROTOCOL', (it) => `${who(it)} broke the protocol ${when(it)}`],
  predecessor: ['PROTOCOL', (it) => it.message],
  noSuchWorker: ['NO_SUCH_WORKER', (it) => `there is no slot and no worker ${it.slotOrId}`],
  busy: [
    'BUSY',
    () =>
      'upgrade() does not wait for other operations: one is under way, or every slot has failed',
  ],
  upgraded: [
    'UPGRADED',
    ({ pid }) => `another primary has taken over${isNumber(pid) ? `: process ${pid}` : ''}`,
  ],
  stopping: ['SUPERVISOR_STOPPED', () => 'the supervisor stops, or has stopped'],
};

/**
 * @param {object} report the engine's, of type 'rejected', and what the operation was asked for
 * @param {object} options those of the supervisor
 */
function failure(report, options) {
  const { what, worker, slot, phase, exitCode, signal, errno, syscall, missing, stderr } = report;
  const facts = { ...report, signal: signalName(signal) };
  const [code, word] = WORDS[what] ?? ['FAILED', () => `it has failed: ${what}`];
  const isOfWorker = isNumber(worker) || isNumber(slot);
  const details = { worker, slot, exitCode, signal: facts.signal };
  if (isOfWorker) details.phase = phase;
  if (what === 'timeout') details.missing = missing ?? [];
  if (isNumber(errno)) Object.assign(details, { errno, syscall });
  const output = stderr ? `${STDERR_FOLLOWS}${stderr.trimEnd()}` : '';
  return errors.supervision(code, `${word(facts, options)}${output}`, {
    ...withoutNulls(details),
    stderr: stderr ?? '',
  });
}

/**
 * Every slot has failed too often.
 *
 * @param {object} rejection the engine's, of the last worker
 */
function allFailed(rejection, options) {
  const last = failure(rejection, options);
  const { code: _code, ...details } = last;
  const text = `every slot has failed; the last failure: ${last.message}`;
  return errors.supervision('FAILED', text, { ...details, cause: last });
}

/** The recipe of a reload could not be made: the option `env` has thrown, or there is no directory. */
function noRecipe(cause) {
  const message = `no worker can be started: ${cause?.message ?? cause}`;
  return errors.supervision('WORKER_NOT_STARTED', message, { phase: 'start', stderr: '', cause });
}

/** Another primary serves, and this one does nothing any more. */
function upgraded(pid) {
  return failure({ what: 'upgraded', pid }, {});
}

/** Why the engine does not do what was asked for: the supervisor has stopped. */
function stopped() {
  return failure({ what: 'stopping' }, {});
}

function who({ worker, slot }) {
  const id = isNumber(worker) ? `worker ${worker}` : 'a worker';
  return isNumber(slot) ? `${id} (slot ${slot})` : id;
}

function how({ exitCode, signal }) {
  return signal === null ? `code ${exitCode ?? 'unknown'}` : `signal ${signal}`;
}

function when({ phase }) {
  return phase ? `in phase ${phase}` : 'too early';
}

function inTime({ missing }, { readyWhen, engine }) {
  const time = `within readyTimeout, ${engine.readyTimeout} ms`;
  if (readyWhen === 'ready') return `${time}: it has not called cluster.worker.ready()`;
  const where = missing?.length > 0 ? ` on ${missing.join(', ')}` : '';
  return `${time}: it does not listen${where}. A program without servers needs readyWhen: 'ready'`;
}

function cause({ errno, syscall }) {
  if (!isNumber(errno)) return syscall ?? 'unknown error';
  return `${syscall} ${getSystemErrorName(errno < 0 ? errno : -errno)}`;
}

function signalName(number) {
  if (!isNumber(number)) return null;
  const [name] = Object.entries(signals).find(([, it]) => it === number) ?? [];
  return name ?? `${number}`;
}

function isNumber(value) {
  return typeof value === 'number';
}

/** What is known. */
function withoutNulls(details) {
  return Object.fromEntries(Object.entries(details).filter(([, it]) => it != null));
}

module.exports = {
  STDERR_FOLLOWS,
  allFailed,
  failure,
  noRecipe,
  signalName,
  stopped,
  upgraded,
};
