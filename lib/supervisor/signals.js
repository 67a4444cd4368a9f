'use strict';

const { constants } = require('node:os');
const { now, setTimeout } = require('../real-timers.js');
const { hasTerminal } = require('./terminal.js');

// A signal that comes again so soon may be one: a shell and the terminal may both send it.
const SAME_SIGNAL = 500;
// How long the system may take to end this process by a signal. Process 1 ignores its own signals.
const SIGNAL_TIMEOUT = 100;
const SIGNALED = 128;

/** What signals to the primary do. */
class Signals {
  #supervisor;
  #kill;
  /** By the name of the signal. */
  #listeners;
  /** When the first SIGINT came. */
  #interrupted = undefined;

  /**
   * @param {Supervisor} supervisor
   * @param {() => void} kill kills all workers at once
   */
  constructor(supervisor, kill) {
    this.#supervisor = supervisor;
    this.#kill = kill;
    const isAttached = hasTerminal();
    this.#listeners = {
      SIGHUP: () => this.#run(isAttached ? this.#stop() : supervisor.reload()),
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

  #stop() {
    return this.#supervisor.stop();
  }

  #interrupt() {
    this.#interrupted ??= now();
    if (now() - this.#interrupted >= SAME_SIGNAL) this.#end('SIGINT');
    else this.#run(this.#stop());
  }

  /** Ends this process by the signal, as it would have ended without a listener. */
  #end(name) {
    this.#kill();
    process.removeAllListeners(name);
    process.kill(process.pid, name);
    setTimeout(() => process.exit(SIGNALED + constants.signals[name]), SIGNAL_TIMEOUT);
  }

  /** Reports a failure, because no caller gets it. */
  #run(operation) {
    operation.catch((error) => {
      process.emitWarning(error.message, { type: 'SupervisorWarning', code: error.code });
    });
  }
}

/** There is one worker left, or there are as many as there may be. */
function ignoreRange(error) {
  if (error.code !== 'ERR_OUT_OF_RANGE') throw error;
}

module.exports = Signals;
