'use strict';

const { constants } = require('node:os');
const { now } = require('../real-timers.js');
const { hasTerminal } = require('./terminal.js');

const NAMES = ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGUSR2'];
const STOPPING = ['SIGINT', 'SIGTERM'];
// The kernel sends these to processes that use their controlling terminal from the background.
const TERMINAL_NAMES = ['SIGTTIN', 'SIGTTOU'];
// As in signals.js.
const SAME_SIGNAL = 500;

/** Signals to this process that are for the primary which has followed it. */
class ForwardedSignals {
  /** Whether one has come that stops the primary. */
  hasStopped = false;
  #listeners;
  /** When the first SIGINT came. */
  #interrupted = undefined;

  /**
   * @param {{ signalSuccessor(signal: number): void }} engine
   * @param {() => void} endNow called when a signal ends everything at once
   */
  constructor(engine, endNow) {
    const names = hasTerminal() ? NAMES : [...NAMES, ...TERMINAL_NAMES];
    const forward = (name) => {
      this.hasStopped ||= STOPPING.includes(name);
      engine.signalSuccessor(constants.signals[name]);
      if (this.#endsNow(name)) endNow();
    };
    this.#listeners = names.map((name) => [name, () => forward(name)]);
    for (const [name, listener] of this.#listeners) process.on(name, listener);
  }

  /** Leaves all signals to the program again. */
  remove() {
    for (const [name, listener] of this.#listeners) process.removeListener(name, listener);
  }

  #endsNow(name) {
    if (name !== 'SIGINT') return name === 'SIGQUIT';
    this.#interrupted ??= now();
    return now() - this.#interrupted >= SAME_SIGNAL;
  }
}

module.exports = ForwardedSignals;
