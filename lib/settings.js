'use strict';

const errors = require('./errors');

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
  const { execArgv } = settings;
  // V8's profiles hold addresses, so those of several processes can't share one file.
  if (startsWith(execArgv, '--prof') && !startsWith(execArgv, '--logfile=')) {
    settings.execArgv = [...execArgv, '--logfile=v8-%p.log'];
  }
  return settings;
}

function startsWith(args, prefix) {
  return args.some((arg) => arg.startsWith(prefix));
}

/** Gives each worker a debugger port of its own, when the inspector is in use. */
class InspectPorts {
  #offset = 1;

  /** The `execArgv` of the next worker. */
  complete({ execArgv, inspectPort }) {
    if (inspectPort === null) throw errors.socketBadPort(null);
    const inspected = [...execArgv, process.env.NODE_OPTIONS ?? ''];
    const flag = /--inspect(?:-brk|-port)?|--debug-port/;
    if (!inspected.some((arg) => flag.test(arg))) return execArgv;
    return [...execArgv, `--inspect-port=${this.#next(inspectPort)}`];
  }

  #next(wanted) {
    let port = typeof wanted === 'function' ? wanted() : wanted;
    if (wanted === undefined) {
      port = process.debugPort + this.#offset;
      this.#offset += 1;
      if (port > LAST_PORT) port = port - LAST_PORT + FIRST_FREE_PORT - 1;
    }
    if (!(Number.isInteger(+port) && +port >= 0 && +port <= LAST_PORT)) {
      throw errors.socketBadPort(port);
    }
    return port;
  }
}

module.exports = { mergeSettings, InspectPorts };
