'use strict';

const LoopRef = require('../loop-ref.js');
const { endBySignal, exitCodeOf } = require('./end-by-signal.js');
const ForwardedSignals = require('./forwarded-signals.js');

const SIGTERM = 15;
const FAILED = 1;

/**
 * What is left of the first primary when another one has followed it, and what watches the service knows only this
 * process: it passes signals on, and ends as the last primary has ended.
 */
class Parent {
  #engine;
  #whenOver;
  #signals;
  #hasWorkers = true;
  #isToldToStop = false;
  /** How the last primary has ended: `{ code, signal }`. */
  #end = undefined;
  /** Keeps this process running. */
  #loopRef = new LoopRef();

  /**
   * @param {Engine} engine
   * @param {object} how
   * @param {() => void} how.kill kills the workers of this process
   * @param {(then: () => void) => void} how.whenOver called when the last primary, and the workers of this process, have
   *   ended; calls back when the program knows
   */
  constructor(engine, { kill, whenOver }) {
    this.#engine = engine;
    this.#whenOver = whenOver;
    this.#signals = new ForwardedSignals(engine, kill);
    this.#loopRef.ref();
  }

  /** Whether a primary, or a worker of this process, is left. */
  get isNeeded() {
    return this.#hasWorkers || this.#end === undefined;
  }

  /** Stops the primary. */
  stop() {
    this.#isToldToStop = true;
    this.#engine.signalSuccessor(SIGTERM);
  }

  /** The workers of this process have ended. */
  workersEnded() {
    this.#hasWorkers = false;
    this.#endIfOver();
  }

  /**
   * The last primary has ended.
   *
   * @param {object} end
   * @param {number | null} end.code
   * @param {number | null} end.signal its number; null as well where the system does not tell how a process has ended
   */
  successorExited({ code, signal }) {
    this.#end = { code, signal };
    this.#endIfOver();
  }

  #endIfOver() {
    if (this.isNeeded) return;
    const { code, signal } = this.#end;
    const unknown = this.#isToldToStop || this.#signals.hasStopped ? 0 : FAILED;
    // For a listener that exits.
    process.exitCode = signal === null ? (code ?? unknown) : exitCodeOf(signal);
    this.#whenOver(() => {
      this.#signals.remove();
      if (signal === null) process.exit();
      else endBySignal(signal);
    });
  }
}

module.exports = Parent;
