'use strict';

// The option `log` of `supervise()`: an entry for each event, as a line of text or JSON on stderr.

const errors = require('../errors.js');
const { STDERR_FOLLOWS, failure, signalName } = require('./failures.js');
const LogOutput = require('./log-output.js');

const FORMATS = { text: toText, json: toJson };

/** The level of an event, and its text. */
const EVENTS = {
  state: ['info', ({ state }) => state],
  ready: ['info', readyText],
  reload: ['info', ({ generation, ms }) => `generation ${generation} is in force after ${ms} ms`],
  upgrade: [
    'info',
    ({ pid, generation, ms }) => `process ${pid} serves generation ${generation} after ${ms} ms`,
  ],
  successorExit: [
    'info',
    ({ code, signal }) => `the primary that followed has ended with ${how(code, signal)}`,
  ],
  takeover: ['info', (it) => `took over from process ${it.pid} (Node ${it.node})`],
  replace: ['info', replaceText],
  backoff: ['warn', ({ message, delay }) => `${message}, next start in ${delay} ms`],
  draining: ['info', ({ worker, reason }) => `worker ${worker} drains (${reason})`],
  hung: ['error', (it) => `worker ${it.worker} hangs: blocked for ${it.ms} ms${at(it.stack)}`],
  blocked: ['warn', (it) => `worker ${it.worker} has been blocked for ${it.ms} ms${at(it.stack)}`],
  cut: [
    'warn',
    ({ worker, connections: n }) => `worker ${worker} has cut off ${count(n, 'connection')}`,
  ],
  exit: ['info', ({ worker, code, signal }) => `worker ${worker} exited with ${how(code, signal)}`],
  rejected: ['error', ({ operation, message }) => `${operation} failed: ${message}`],
  failed: ['error', ({ message }) => `every slot has failed; the last failure: ${message}`],
  stopped: [
    'info',
    ({ successor }) => `stopped${successor ? `: process ${successor} serves` : ''}`,
  ],
  warning: ['warn', ({ message }) => message],
};
/** States that no other event tells of. */
const TOLD_STATES = ['reloading', 'upgrading', 'stopping'];

/** What happens at the end of a primary, also when another one has taken over, so that nothing ends for clients. */
const ENDS = ['state', 'stopped'];

class Log {
  #write;
  /** The pid of the primary that has taken over, as long as it runs. */
  #successor;
  #options;
  #status;

  /**
   * @param {'text' | 'json' | false | ((entry: object) => void)} log the option
   * @param {object} options those of the supervisor
   * @param {EventContext} context in which a function is called
   * @param {() => object} status of the supervisor
   */
  constructor(log, options, context, status) {
    const write = writerOf(log);
    const isFunction = typeof log === 'function';
    this.#write = isFunction ? (entry) => context.nextTick(log, entry) : write;
    this.#options = options;
    this.#status = status;
  }

  get isOn() {
    return this.#write !== undefined;
  }

  /** Logs a report of the engine, or an event like one. */
  add(type, { token: _token, stays: _stays, ...report }) {
    if (!this.isOn || !Object.hasOwn(EVENTS, type)) return;
    if (type === 'successorExit') this.#successor = undefined;
    this.#write(entryOf(type, this.#fieldsOf(type, report)));
    if (type === 'upgrade') this.#successor = report.pid;
  }

  /** Logs that an operation has failed. */
  rejected(operation, error) {
    if (!this.isOn) return;
    const { cause: _cause, ...facts } = error;
    // The worker's own stderr has been there already.
    const [message] = error.message.split(STDERR_FOLLOWS);
    this.#write(entryOf('rejected', { operation, ...facts, message }));
  }

  /** Waits for an operation, and logs that it has failed, if it does. */
  async watch(operation, promise) {
    try {
      return await promise;
    } catch (error) {
      this.rejected(operation, error);
      throw error;
    }
  }

  #fieldsOf(type, report) {
    if (this.#successor && ENDS.includes(type)) return { ...report, successor: this.#successor };
    if (type === 'ready') return readyFields(this.#status());
    if (type === 'backoff') {
      const { failure: reason, ...facts } = report;
      return { ...facts, ...this.#failureOf(reason) };
    }
    if (type === 'failed') return this.#failureOf(report.reason);
    if (type === 'successorExit') return { ...report, signal: signalName(report.signal) };
    return report;
  }

  /** The text of an entry has no stderr in it, because the worker's own has been there already. */
  #failureOf(report) {
    const { message, ...details } = failure({ ...report, stderr: '' }, this.#options);
    return { ...details, message, stderr: report.stderr ?? '' };
  }
}

function readyFields({ generation, workers, listeners, admin = null }) {
  return { generation, workers, listeners: listeners.map(({ address }) => address), admin };
}

/** The function that writes an entry; undefined for none. */
function writerOf(log) {
  if (log === false || log === undefined) return undefined;
  if (typeof log === 'function') return log;
  const format = FORMATS[log];
  const lost = (number) =>
    format(entryOf('warning', { message: `${count(number, 'line')} of the log lost` }));
  const output = new LogOutput(lost);
  return (entry) => {
    const line = format(entry);
    if (line !== undefined) output.write(line);
  };
}

function entryOf(event, fields) {
  const [level, text] = EVENTS[event];
  return { time: new Date().toISOString(), level, event, ...fields, message: text(fields) };
}

/** What logs a process warning. */
function warningEntry({ name, code, message }) {
  return entryOf('warning', { name, code, message });
}

/** Undefined for what other lines tell already. */
function toText({ time, event, message, state, successor }) {
  const isTold = event !== 'state' || (TOLD_STATES.includes(state) && !successor);
  if (event === 'exit' || !isTold) return undefined;
  const clock = new Date(time).toTimeString().slice(0, 8);
  // One line an event, whatever is in a message.
  return `${clock} ${message.replaceAll(/\s*\n\s*/g, ' | ')}\n`;
}

function toJson(entry) {
  return `${JSON.stringify(entry)}\n`;
}

function how(code, signal) {
  return signal ? `signal ${signal}` : `code ${code}`;
}

function replaceText({ slot, from, to, reason }) {
  return from === null
    ? `slot ${slot}: worker ${to} is ready (${reason})`
    : `slot ${slot}: worker ${to} replaces worker ${from} (${reason})`;
}

function readyText({ workers, listeners, admin }) {
  const where = listeners.length > 0 ? ` on ${listeners.join(', ')}` : '';
  const page = admin && (admin.startsWith('/') ? admin : `http://${admin}/`);
  return `ready: ${count(workers, 'worker')}${where}${page ? `, admin ${page}` : ''}`;
}

/** The innermost place of a stack. */
function at(stack) {
  return stack ? ` ${stack.trim().split('\n')[0].trim()}` : '';
}

function count(number, noun) {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

/** @throws `ERR_INVALID_ARG_VALUE` */
function checkLog(name, value) {
  if (value === false || typeof value === 'function' || Object.hasOwn(FORMATS, value)) return;
  const reason = `must be 'text', 'json', false or a function`;
  throw errors.invalidArgValue(name, value, reason);
}

module.exports = { Log, checkLog, warningEntry, writerOf };
