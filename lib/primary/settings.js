'use strict';

const errors = require('../errors.js');

const LAST_PORT = 65535;
const FIRST_FREE_PORT = 1024;

/** The settings of `setupPrimary(options)`, over those in force. */
function mergeSettings(current, options) {
  const settings = {
    args: process.argv.slice(2),
    exec: process.argv[1],
    execArgv: process.execArgv,
    silent: false,
    ...current,
    ...options,
  };
  const isGiven = (prefix) => oneStartsWith(settings.execArgv, prefix);
  // V8's profiles hold addresses, so those of several processes can't share one file.
  if (isGiven('--prof') && !isGiven('--logfile=')) {
    settings.execArgv = [...settings.execArgv, '--logfile=v8-%p.log'];
  }
  return settings;
}

/** Of whatever is like an array: fork() complains about others, and about what is no string. */
function oneStartsWith(args, prefix) {
  return Array.prototype.some.call(args, (arg) => String.prototype.startsWith.call(arg, prefix));
}

/** Gives each worker a debugger port of its own, when the inspector is in use. */
class InspectPorts {
  #offset = 1;
  /** Whether a list of flags has the inspector in use: as in Node, each is looked at once. */
  #inUse = new WeakMap();

  /** The `execArgv` of the next worker. */
  complete(execArgv, { inspectPort, execArgv: flags }) {
    if (inspectPort === null) throw errors.socketBadPort(null);
    if (!this.#isInUse(flags)) return execArgv;
    return [...execArgv, `--inspect-port=${this.#next(inspectPort)}`];
  }

  #isInUse(flags) {
    if (!this.#inUse.has(flags)) {
      const all = [...flags, process.env.NODE_OPTIONS ?? ''];
      const flag = /--inspect(?:-brk|-port)?|--debug-port/;
      this.#inUse.set(
        flags,
        all.some((arg) => flag.test(arg)),
      );
    }
    return this.#inUse.get(flags);
  }

  #next(wanted) {
    let port = typeof wanted === 'function' ? wanted() : wanted;
    if (wanted === undefined) {
      port = process.debugPort + this.#offset;
      this.#offset += 1;
      if (port > LAST_PORT) port = port - LAST_PORT + FIRST_FREE_PORT - 1;
    }
    if (!isPort(port)) throw errors.socketBadPort(port);
    return port;
  }
}

/** A number, or its decimal digits. */
function isPort(value) {
  const isNumber = typeof value === 'number' || (typeof value === 'string' && value.trim() !== '');
  return isNumber && Number.isInteger(+value) && +value >= 0 && +value <= LAST_PORT;
}

module.exports = { mergeSettings, InspectPorts };
