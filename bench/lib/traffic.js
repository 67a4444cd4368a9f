'use strict';

// The shapes of traffic that the load generator of bench/load plays at once.

const { once } = require('node:events');
const readline = require('node:readline');
const { buildLoad } = require('./load.js');
const { describeEnd, keepTail } = require('../../tools/output.js');
const { killGroup, startProcess } = require('../../tools/processes.js');
const { UserError } = require('../../tools/user-error.js');

/** A run of the load generator, which goes on until `stop()`. */
class Traffic {
  #child;
  #stderr;
  #lines = [];
  #hasEnded = false;

  constructor(program, plan) {
    this.#child = startProcess(program, ['traffic', JSON.stringify(plan)], { stdio: 'pipe' });
    this.#stderr = keepTail(this.#child.stderr);
    this.#child.stdin.on('error', () => {}); // the end of the process says more
    readline.createInterface({ input: this.#child.stdout }).on('line', (line) => {
      this.#lines.push(JSON.parse(line));
      this.#child.emit('news');
    });
    // Not 'exit', which may come before the last line.
    for (const event of ['close', 'error']) {
      this.#child.once(event, () => {
        this.#hasEnded = true;
        this.#child.emit('news');
      });
    }
  }

  /** Resolves when every shape has had an answer. */
  async ready() {
    await this.#line('ready');
  }

  /** Opens the connections of the shapes `burst`; resolves when that has begun. */
  burst() {
    return this.#ask('burst');
  }

  /**
   * The counts so far: `requests`, `answered`, `failed` and `opened`; and how many requests of bursts are under way,
   * `inBursts`.
   */
  status() {
    return this.#ask('status');
  }

  /** Lets the requests end that are under way; resolves to the report. */
  async stop() {
    this.#child.stdin.end('stop\n');
    return this.#line('shapes', (report) => report);
  }

  kill() {
    if (!this.#hasEnded) killGroup(this.#child);
  }

  #ask(command) {
    this.#lines = this.#lines.filter((line) => !(command in line));
    const answer = this.#line(command);
    this.#child.stdin.write(`${command}\n`);
    return answer;
  }

  /** The next line that has the property. */
  async #line(property, read = (line) => line[property]) {
    for (;;) {
      const index = this.#lines.findIndex((line) => property in line);
      if (index >= 0) return read(...this.#lines.splice(index, 1));
      if (this.#hasEnded) {
        const { exitCode, signalCode } = this.#child;
        const end = describeEnd(exitCode, signalCode, this.#stderr());
        throw new UserError(`The load generator ended early: ${end}`);
      }
      await once(this.#child, 'news');
    }
  }
}

/**
 * Builds the load generator if necessary, and starts it.
 *
 * @param {object[]} shapes each with its `shape` and `address`, and what bench/load/src/traffic/plan.rs lists
 * @param {object} [options]
 * @param {string} [options.log] a file for the ids, see ids.js
 * @param {number} [options.answerLimitMs] how long a request may wait for its answer
 */
async function startTraffic(shapes, options) {
  return new Traffic(await buildLoad(), { ...options, shapes });
}

module.exports = { startTraffic };
