'use strict';

const { spawn } = require('node:child_process');
const { EventEmitter, once } = require('node:events');
const path = require('node:path');
const readline = require('node:readline');
const { compiled } = require('./compiled');
const { temporaryDirectory } = require('./temporary');

/** Plays systemd: what a service tells its socket. */
class ServiceManager extends EventEmitter {
  /** The lines of each message so far. */
  messages = [];
  name;
  #read = 0;
  #process;
  #closed;

  /** @param {string} name of the socket */
  constructor(name) {
    super();
    this.name = name;
    this.#process = spawn(compiled('notified'), [name], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#closed = once(this.#process, 'close');
    readline.createInterface({ input: this.#process.stdout }).on('line', (text) => {
      const { lines } = JSON.parse(text);
      if (lines !== undefined) this.messages.push(lines);
      this.emit(lines === undefined ? 'bound' : 'news');
    });
  }

  /** The next message with this line, which may be a pattern; those before it are skipped. */
  async next(wanted) {
    const isIt = (line) => (typeof wanted === 'string' ? line === wanted : wanted.test(line));
    for (;;) {
      while (this.#read < this.messages.length) {
        const lines = this.messages[this.#read];
        this.#read += 1;
        if (lines.some(isIt)) return lines;
      }
      await once(this, 'news', { signal: AbortSignal.timeout(20_000) });
    }
  }

  /** Takes messages no longer. */
  async end() {
    this.#process.stdin.end();
    await this.#closed;
  }
}

/** @param {boolean} [options.isAbstract] whether the name of its socket is abstract */
async function startServiceManager(t, { isAbstract = false } = {}) {
  const file = path.join(temporaryDirectory(t), 'notify');
  const manager = new ServiceManager(isAbstract ? `@${file}` : file);
  t.teardown(() => manager.end());
  await once(manager, 'bound');
  return manager;
}

module.exports = { startServiceManager };
