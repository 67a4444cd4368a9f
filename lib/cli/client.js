'use strict';

// A client of the control socket: HTTP and JSON.

const { lstatSync } = require('node:fs');
const http = require('node:http');
const { setTimeout: pause } = require('node:timers/promises');
const { CliError } = require('./errors.js');

/** What to do about errors that the primary answers with. */
const HINTS = {
  ERR_RS_CLUSTER_PRIMARY_BLOCKED: 'status, restart, hold, release and stop work nevertheless',
  ERR_RS_CLUSTER_BUSY: 'Try again when rs-cluster status says that it is ready',
  ERR_RS_CLUSTER_NO_SUCH_WORKER: 'rs-cluster status lists the slots',
};
const MOST_BYTES = 64 * 1024 * 1024;
/** How long an answer to a question may take, which the engine gives at once. In milliseconds. */
const STATUS_TIMEOUT = 5_000;
const RETRY_INTERVAL = 20;

class Client {
  #control;

  /** @param {string} control the path of the socket */
  constructor(control) {
    this.#control = control;
  }

  get control() {
    return this.#control;
  }

  /** What GET /status says. */
  async status(timeout = STATUS_TIMEOUT) {
    const status = await this.#ask('GET', '/status', undefined, timeout);
    if (!Array.isArray(status?.slots) || typeof status.state !== 'string') throw this.#foreign();
    return status;
  }

  /**
   * Lets the primary do something, and waits until it has.
   *
   * @param {string} operation such as 'reload'
   * @param {object} [body]
   * @param {number} [timeout] in milliseconds
   */
  async perform(operation, body = {}, timeout = undefined) {
    const answer = await this.#ask('POST', `/${operation}`, body, timeout);
    return answer?.value;
  }

  async #ask(method, path, body, timeout) {
    const { statusCode, text } = await this.#untilAccepted(method, path, body, timeout);
    const answer = parse(text);
    if (answer === undefined) throw this.#foreign();
    if (statusCode === 200) return answer;
    const { message, code, ...details } = answer?.error ?? {};
    if (typeof message !== 'string') {
      throw statusCode === 403 ? this.#denied() : this.#foreign();
    }
    const hint = HINTS[code];
    throw new CliError(message.split('. The end of its stderr:\n')[0], { code, details, hint });
  }

  /** Tries again while the queue of the socket is full, when no byte of the request has been sent. */
  async #untilAccepted(method, path, body, timeout) {
    const patience = timeout ?? STATUS_TIMEOUT;
    const deadline = Date.now() + patience;
    for (;;) {
      try {
        return await this.#request(method, path, body, timeout);
      } catch (error) {
        if (error.code !== 'EAGAIN') throw error;
        if (Date.now() >= deadline) throw this.#silent(patience);
        await pause(RETRY_INTERVAL);
      }
    }
  }

  #request(method, path, body, timeout) {
    return new Promise((resolve, reject) => {
      const json = body === undefined ? '' : JSON.stringify(body);
      const headers = {
        host: 'localhost',
        ...(json && {
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(json),
        }),
      };
      const socketPath = this.#control;
      const request = http.request({ socketPath, method, path, headers, agent: false });
      const timer =
        timeout === undefined ? undefined : setTimeout(() => fail(this.#silent(timeout)), timeout);
      const fail = (error) => {
        clearTimeout(timer);
        request.destroy();
        reject(error);
      };
      request.on('error', (error) => fail(this.#explain(error)));
      request.on('response', (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part) => {
          text += part;
          if (text.length > MOST_BYTES) fail(this.#foreign());
        });
        response.on('error', (error) => fail(this.#explain(error)));
        response.on('end', () => {
          clearTimeout(timer);
          resolve({ statusCode: response.statusCode, text });
        });
      });
      request.end(json);
    });
  }

  #explain({ code, message }) {
    const control = this.#control;
    if (code === 'ENOENT') {
      const hint = 'No primary runs with this control socket';
      return new CliError(`there is no ${control}`, { code: 'ERR_RS_CLUSTER_NO_PRIMARY', hint });
    }
    if (code === 'ECONNREFUSED') {
      if (!isSocket(control)) return this.#foreign();
      const hint = 'Its primary has ended; the next one replaces the socket';
      return new CliError(`no process listens on ${control}`, {
        code: 'ERR_RS_CLUSTER_NO_PRIMARY',
        hint,
      });
    }
    if (code === 'EACCES' || code === 'EPERM') return this.#denied();
    if (code === 'ENOTSOCK') return this.#foreign();
    if (code === 'ECONNRESET' || code === 'EPIPE') {
      const text = `the primary at ${control} closed the connection without an answer`;
      return new CliError(text, { code, hint: 'It may have ended: see rs-cluster status' });
    }
    if (code?.startsWith('HPE_')) return this.#foreign();
    return new CliError(`${control}: ${message}`, { code });
  }

  #denied() {
    const hint = 'Run this as the user of the primary, or as root';
    return new CliError(`${this.#control} belongs to another user`, { code: 'EACCES', hint });
  }

  #foreign() {
    const text = `${this.#control} is not the control socket of a primary`;
    return new CliError(text, {
      code: 'ERR_RS_CLUSTER_FOREIGN',
      hint: 'Check --control, or use --name',
    });
  }

  #silent(timeout) {
    const text = `the primary at ${this.#control} has not answered for ${timeout / 1_000} s`;
    const hint = 'It may be stopped or suspended; --timeout changes how long to wait';
    return new CliError(text, { code: 'ETIMEDOUT', hint });
  }
}

function isSocket(file) {
  return lstatSync(file, { throwIfNoEntry: false })?.isSocket() ?? false;
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

module.exports = Client;
