'use strict';

// The inspectors of workers, as Node's own cluster module starts them (lib/internal/cluster/primary.js).

const { runInThisContext } = require('node:vm');
const errors = require('../errors.js');

const LAST_PORT = 65535;
const FIRST_FREE_PORT = 1024;

/** Gives each worker a debugger port of its own where the inspector is in use. */
class InspectPorts {
  #offset = 1;
  /** Whether a list of flags turns the inspector on. As in Node, each list is looked at once. */
  #inUse = new WeakMap();

  /** The `execArgv` of the next worker. */
  complete(execArgv, { inspectPort, execArgv: flags }) {
    if (inspectPort === null) throw errors.socketBadPort(null);
    if (!this.#isInUse(flags)) return execArgv;
    return [...execArgv, `--inspect-port=${this.#next(inspectPort)}`];
  }

  /**
   * For workers that the engine starts: the port of the first one, undefined if they need none, and their
   * `execArgv`.
   */
  forRecipe(settings) {
    const { execArgv } = settings;
    const { length } = execArgv;
    const [added] = this.complete([...execArgv], settings).slice(length);
    const port = Number(added?.split('=')[1]);
    if (added === undefined) return { inspectPort: undefined, execArgv };
    // The system picks one for each.
    if (port === 0) return { inspectPort: undefined, execArgv: [...execArgv, added] };
    return { inspectPort: port, execArgv };
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

// A test runner may have replaced the global one.
const realProcess = runInThisContext('process');

/**
 * Listens for the start of this process's inspector, by SIGUSR1 or `inspector.open()`, as Node's own cluster
 * module does. Node emits the event in src/inspector_agent.cc.
 */
class InspectorWatch {
  #onInternalMessage;

  constructor(onStarted) {
    this.#onInternalMessage = ({ cmd }) => {
      if (cmd === 'NODE_DEBUG_ENABLED') onStarted();
    };
  }

  start() {
    realProcess.on('internalMessage', this.#onInternalMessage);
  }

  stop() {
    realProcess.removeListener('internalMessage', this.#onInternalMessage);
  }
}

module.exports = { InspectPorts, InspectorWatch };
