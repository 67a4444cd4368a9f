'use strict';

const errors = require('../errors.js');
const { setTimeout } = require('../real-timers.js');
const { upgraded } = require('./failures.js');
const ForwardedSignals = require('./forwarded-signals.js');
const Parent = require('./parent.js');
const { notUpgraded, upgradeFailure } = require('./upgrade-failures.js');

/** Upgrades of this primary: a new one is started, and takes over. */
class Upgrades {
  #engine;
  #operations;
  #recipe;
  #host;
  #whenOver;
  #exitTimeout;
  /** The pid of the primary that has taken over. */
  #successor;
  /** If this process stays. */
  #parent;

  /**
   * @param {object} parts of the supervisor: `engine`, `operations`, `primary`, which is its recipe, `host`, `options`
   * @param {(then: () => void) => void} whenOver called when a process that stays is not needed any more; calls back
   *   when the program knows
   */
  constructor({ engine, operations, primary, host, options }, whenOver) {
    this.#engine = engine;
    this.#operations = operations;
    this.#recipe = primary;
    this.#host = host;
    this.#whenOver = whenOver;
    // How long the program may keep this process running once its workers have ended.
    this.#exitTimeout = options.engine.killTimeout;
  }

  /**
   * Starts another primary, and waits until it serves.
   *
   * @param {object} options as `checkUpgrade()` returns them
   * @returns {Promise<{ pid: number, generation: number, ms: number }>}
   */
  async begin({ timeout, ...options }) {
    const recipe = this.#make(options);
    const ask = (token) => {
      const refusal = this.#engine.upgrade(token, recipe, timeout);
      if (refusal) throw notUpgraded(errors.errnoException(refusal.errno, refusal.syscall));
    };
    return this.#operations.begin(ask, { describe: upgradeFailure });
  }

  /** @throws an error if another primary has taken over */
  check() {
    if (this.#successor !== undefined) throw upgraded(this.#successor);
  }

  /**
   * Another primary serves, so this process has nothing to do once its workers have ended.
   *
   * @param {number} pid of that primary
   * @param {object} how
   * @param {boolean} how.stays whether this process has to stay nevertheless
   * @param {boolean} how.forwards whether signals to this process, if it does not stay, are for that primary
   * @param {Supervisor} how.supervisor
   */
  succeeded(pid, { stays, forwards, supervisor }) {
    this.#successor = pid;
    this.#host.handedOver();
    const kill = () => this.#host.kill();
    if (stays) {
      this.#parent = new Parent(this.#engine, { kill, whenOver: this.#whenOver });
      return;
    }
    const signals = forwards ? new ForwardedSignals(this.#engine, kill) : undefined;
    supervisor.once('stopped', () => {
      signals?.remove();
      setTimeout(() => process.exit(), this.#exitTimeout).unref();
    });
  }

  /** Stops the primary whose parent this process is. Returns false if it is not a parent. */
  stop() {
    this.#parent?.stop();
    return this.#parent !== undefined;
  }

  /** The workers of this process have ended. Returns whether the process has to stay. */
  workersEnded() {
    if (!this.#parent?.isNeeded) return false;
    this.#host.ended();
    this.#parent.workersEnded();
    return true;
  }

  /** The last primary that has followed this one has ended: `{ code, signal }`. */
  successorExited(how) {
    this.#parent?.successorExited(how);
  }

  #make(options) {
    try {
      return this.#recipe.make(options);
    } catch (error) {
      throw notUpgraded(error);
    }
  }
}

module.exports = Upgrades;
