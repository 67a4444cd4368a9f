'use strict';

const LoopRef = require('../loop-ref.js');

/** The operations that the engine has been asked for, and their promises. */
class Operations {
  /** `{ resolve, reject, given }`, by token. */
  #pending = new Map();
  #lastToken = 0;
  /** Keeps this process running until they have ended, also where the supervisor itself does not. */
  #loopRef = new LoopRef();

  /**
   * @param {(token: number) => void} ask asks the engine, whose report of the outcome has this token, or throws
   * @param {object} [given] what an error has to name, and `describe`, which makes it of a report
   * @returns {Promise<unknown>}
   */
  begin(ask, given) {
    this.#lastToken += 1;
    const token = this.#lastToken;
    return new Promise((resolve, reject) => {
      this.#pending.set(token, { resolve, reject, given });
      this.#loopRef.ref();
      try {
        ask(token);
      } catch (error) {
        this.#take(token).reject(error);
      }
    });
  }

  done({ token, value }) {
    this.#take(token)?.resolve(value);
  }

  /** `describe` makes an error of a report, unless the operation has its own. */
  failed({ token, ...report }, describe) {
    const operation = this.#take(token);
    if (operation === undefined) return;
    const { describe: own = describe, ...given } = operation.given ?? {};
    operation.reject(own({ ...report, ...given }));
  }

  /** The engine carries out nothing more. */
  end(error) {
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
    this.#loopRef.unref();
  }

  #take(token) {
    const operation = this.#pending.get(token);
    this.#pending.delete(token);
    if (this.#pending.size === 0) this.#loopRef.unref();
    return operation;
  }
}

module.exports = Operations;
