'use strict';

/** The operations that the engine has been asked for, and their promises. */
class Operations {
  /** `{ resolve, reject }`, by token. */
  #pending = new Map();
  #lastToken = 0;

  /**
   * @param {(token: number) => void} ask asks the engine, whose report of the outcome has this token
   * @returns {Promise<unknown>}
   */
  begin(ask) {
    this.#lastToken += 1;
    const token = this.#lastToken;
    return new Promise((resolve, reject) => {
      this.#pending.set(token, { resolve, reject });
      ask(token);
    });
  }

  done({ token, value }) {
    this.#take(token)?.resolve(value);
  }

  failed({ token }, error) {
    this.#take(token)?.reject(error);
  }

  #take(token) {
    const promise = this.#pending.get(token);
    this.#pending.delete(token);
    return promise;
  }
}

module.exports = Operations;
