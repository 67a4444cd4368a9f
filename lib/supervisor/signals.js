'use strict';

const { constants } = require('node:os');
const { now, setTimeout } = require('../real-timers.js');
const { endBySignal } = require('./end-by-signal.js');
const { hasTerminal } = require('./terminal.js');

// A signal that comes again so soon may be one: a shell and the terminal may both send it.
const SAME_SIGNAL = 500;

/** What signals to the primary do. */
class Signals {
  #supervisor;
  #kill;
  #exitTimeout;
  #isLogged;
  /** By the name of the signal. */
  #listeners;
  /** When the first SIGINT came. */
  #interrupted = undefined;

  /**
   * @param {Supervisor} supervisor
   * @param {object} how
   * @param {() => void} how.kill kills all workers at once
   * @param {number} how.exitTimeout how long the program may keep this process running once it has stopped, in
   *   milliseconds
   * @param {boolean} how.isLogged whether a log tells of operations that fail
   */
  constructor(supervisor, { kill, exitTimeout, isLogged }) {
    this.#supervisor = supervisor;
    this.#kill = kill;
    this.#exitTimeout = exitTimeout;
    this.#isLogged = isLogged;
    const isAttached = hasTerminal();
    this.#listeners = {
      SIGHUP: () => this.#run(isAttached ? this.#stop() : supervisor.reload()),
      SIGUSR2: () => this.#run(supervisor.upgrade()),
      SIGTERM: () => this.#run(this.#stop()),
      SIGINT: () => this.#interrupt(),
      SIGQUIT: () => this.#end('SIGQUIT'),
    };
    // The kernel sends these two to processes that use their controlling terminal from the background. So a
    // process without one gets them only from other processes (SI_USER), and there is nothing to check then.
    if (!isAttached) {
      this.#listeners.SIGTTIN = () => this.#run(supervisor.scale('+1').catch(ignoreRange));
      this.#listeners.SIGTTOU = () => this.#run(supervisor.scale('-1').catch(ignoreRange));
    }
    for (const [name, listener] of Object.entries(this.#listeners)) process.on(name, listener);
  }

  /** Leaves all signals to the program again. */
  remove() {
    for (const [name, listener] of Object.entries(this.#listeners)) {
      process.removeListener(name, listener);
    }
  }

  /** Without a listener the signal would have ended this process, whatever else keeps it running. */
  async #stop() {
    await this.#supervisor.stop();
    setTimeout(() => process.exit(), this.#exitTimeout).unref();
  }

  #interrupt() {
    this.#interrupted ??= now();
    if (now() - this.#interrupted >= SAME_SIGNAL) this.#end('SIGINT');
    else this.#run(this.#stop());
  }

  /** Ends this process by the signal, as it would have ended without a listener. */
  #end(name) {
    this.#kill();
    endBySignal(constants.signals[name]);
  }

  /** Reports a failure, because no caller gets it. */
  #run(operation) {
    operation.catch((error) => {
      if (this.#isLogged) return;
      process.emitWarning(error.message, { type: 'SupervisorWarning', code: error.code });
    });
  }
}

/** There is one worker left, or there are as many as there may be. */
function ignoreRange(error) {
  if (error.code !== 'ERR_OUT_OF_RANGE') throw error;
}

module.exports = Signals;
