'use strict';

const { setTimeout } = require('../real-timers.js');
const { STDERR_FOLLOWS } = require('./failures.js');

// Statuses of HTTP.
const OK = 200;
const BAD_REQUEST = 400;
const CONFLICT = 409;
/** The operator has asked for something that cannot be. */
const IS_BAD = /^ERR_(?:INVALID_ARG|OUT_OF_RANGE)/;

/** What operators ask for by the control socket, and only the program can do: the engine passes it on. */
class Asked {
  #engine;
  #operations;

  /**
   * @param {Engine} engine
   * @param {Supervisor} supervisor
   * @param {number} exitTimeout how long the program may keep this process running once the supervisor has
   *   stopped, in milliseconds
   */
  constructor(engine, supervisor, exitTimeout) {
    this.#engine = engine;
    this.#operations = {
      '/reload': (token) => this.#reply(token, () => supervisor.reload()),
      '/upgrade': (token, options) => this.#reply(token, () => supervisor.upgrade(options)),
      '/scale': (token) => this.#reply(token, () => supervisor.scale('auto')),
      // The engine does it, and the process has to end as it does after SIGTERM.
      '/stop': once(() => supervisor.once('stopped', () => exitIn(exitTimeout))),
    };
  }

  /**
   * @param {string} operation as the path of the request has it
   * @param {object} [options] what the body of the request says
   */
  handle(token, operation, options) {
    this.#operations[operation](token, options);
  }

  /** Does something unless the operator has gone meanwhile, and answers. */
  async #reply(token, begin) {
    if (!this.#engine.takeAsked(token)) return;
    try {
      const value = (await begin()) ?? null;
      this.#engine.reply(token, OK, JSON.stringify({ value }));
    } catch (error) {
      const status = IS_BAD.test(error.code) ? BAD_REQUEST : CONFLICT;
      this.#engine.reply(token, status, JSON.stringify({ error: describe(error) }));
    }
  }
}

/** Several operators may ask for the same. */
function once(act) {
  let isDone = false;
  return () => {
    if (!isDone) act();
    isDone = true;
  };
}

function exitIn(timeout) {
  setTimeout(() => process.exit(), timeout).unref();
}

/** The error's own properties; what the worker wrote last is one of them. */
function describe(error) {
  const { cause: _cause, ...facts } = error;
  return { ...facts, message: error.message.split(STDERR_FOLLOWS)[0] };
}

module.exports = Asked;
