'use strict';

const { once } = require('node:events');
const http = require('node:http');
const { becomesTrue } = require('../../../tools/process-group');
const { describeEnd } = require('../../../tools/output');
const { killGroup, startProcess } = require('../../../tools/processes');

// How long a server may take to start or to end, in ms of an idle machine.
const LIMIT = 30_000;

/** A server that runs in the foreground, and ends with its test. */
class Daemon {
  output = '';
  /** Resolves to `{ code, signal }`. */
  exited;
  #name;
  #child;

  constructor(command, args, options) {
    this.#name = [command, ...args].join(' ');
    this.#child = startProcess(command, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        this.output += text;
      });
    }
    this.exited = this.#end();
    this.exited.catch(() => {});
  }

  get pid() {
    return this.#child.pid;
  }

  get isRunning() {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  async #end() {
    const [code, signal] = await Promise.race([
      once(this.#child, 'close'),
      once(this.#child, 'error').then(([error]) => Promise.reject(error)),
    ]);
    return { code, signal };
  }

  signal(signal) {
    this.#child.kill(signal);
  }

  kill() {
    if (this.pid !== undefined) killGroup(this.#child);
  }

  /** Waits until a condition is true; fails when the server ends before. */
  async until(condition, what = `${condition}`) {
    const isSo = async () => {
      if (!this.isRunning) throw this.#error('ended early', await this.exited);
      return condition();
    };
    if (!(await becomesTrue(isSo, LIMIT))) throw this.#error(`does not come to this: ${what}`);
  }

  /** Ends it by a signal; resolves to how it ended. */
  async stop(signal = 'SIGTERM') {
    this.signal(signal);
    let end;
    this.exited.then((how) => {
      end = how;
    });
    if (!(await becomesTrue(() => end !== undefined, LIMIT)))
      throw this.#error(`ignores ${signal}`);
    return end;
  }

  #error(what, { code, signal } = {}) {
    const how = code === undefined ? this.output : describeEnd(code, signal, this.output);
    return new Error(`${this.#name} ${what}: ${how}`);
  }
}

/** Starts a server that ends with its test. */
function startDaemon(t, command, args, options) {
  const daemon = new Daemon(command, args, options);
  t.teardown(async () => {
    if (!t.passed) t.log(`--- ${command}\n${daemon.output}`);
    daemon.kill();
    await daemon.exited.catch(() => {});
  });
  return daemon;
}

/** The status of a GET request on its own connection, 0 if there is no answer, and the body. */
function ask({ host, port, path = '/', headers }) {
  return new Promise((resolve) => {
    const none = () => resolve({ status: 0, body: '' });
    const options = { host, port, path, headers, agent: false, timeout: 5_000 };
    const request = http.get(options, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (text) => {
        body += text;
      });
      response.on('end', () =>
        resolve({ status: response.statusCode, body, headers: response.headers }),
      );
    });
    request.on('timeout', () => request.destroy());
    request.on('error', none);
  });
}

module.exports = { ask, startDaemon };
