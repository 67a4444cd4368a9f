'use strict';

const { spawn } = require('node:child_process');
const { EventEmitter, once } = require('node:events');
const path = require('node:path');
const readline = require('node:readline');
const { isDeepStrictEqual } = require('node:util');
const { execPath, specifier } = require('./implementation');
const { becomesTrue, membersOfSession, signalSession } = require('../../tools/process-group');
const { afterTimeLimit } = require('../../tools/time-limit');

const WATCHDOG = 30_000;
// How long workers may outlive their primary.
const GONE_WITHIN = 2_000;
const FIXTURES = path.join(__dirname, '../fixtures');
const WARNING = /^\(node:\d+\) .*/m;
const CRASH = /^worker \d+ crashed.*/m; // See fixtures/shared/cluster.js.

/** A fixture program, running as the leader of a session that its workers belong to. */
class Program extends EventEmitter {
  lines = [];
  stdout = '';
  stderr = '';
  #name;
  #child;
  #failure;
  #warns;
  #crashes;
  #goneWithin;

  /**
   * @param {string} name of a file in `fixtures/`, as in `shared/app`; or the path of any other program
   * @param {object} [options]
   * @param {Array} [options.args] strings, or values to be passed as JSON
   * @param {object} [options.env] on top of the environment of the tests
   * @param {string[]} [options.nodeArgs]
   * @param {string[]} [options.launcher] a command that executes the command appended to it
   * @param {number} [options.timeout] of the watchdog, in milliseconds of an idle machine
   * @param {number} [options.goneWithin] how long workers may outlive the program, in milliseconds of an idle machine
   * @param {boolean} [options.warns] whether process warnings are expected
   * @param {boolean} [options.crashes] whether crashes of workers are expected
   * @param {object} [options.spawn] for `child_process.spawn()`: `cwd`, `uid`, …
   */
  constructor(name, options = {}) {
    super();
    this.setMaxListeners(0);
    const { args = [], env, nodeArgs = [], launcher = [], timeout = WATCHDOG } = options;
    this.#name = name;
    this.#warns = options.warns ?? false;
    this.#crashes = options.crashes ?? false;
    this.#goneWithin = options.goneWithin ?? GONE_WITHIN;

    const [file, ...rest] = [
      ...launcher,
      execPath,
      ...nodeArgs,
      fixturePath(name),
      ...args.map((arg) => (typeof arg === 'string' ? arg : JSON.stringify(arg))),
    ];
    this.#child = spawn(file, rest, {
      ...options.spawn,
      env: { ...environment(), CLUSTER: specifier, ...env },
      detached: true,
      stdio: 'pipe',
    });
    this.#child.stdin.on('error', () => {}); // The program may end before it has read everything.
    this.#collect();

    const still = `still ran after ${timeout} ms, or longer on a busy machine`;
    const inTime = afterTimeLimit(timeout, () => this.#fail(still));
    this.exited = this.#exit().finally(inTime);
    this.exited.catch(() => {}); // A test that failed before it awaits this needs no second report.
  }

  get pid() {
    return this.#child.pid;
  }

  get isRunning() {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** The first printed line, now or later, that has all the properties of the pattern. */
  async line(pattern) {
    const [first] = await this.linesLike(pattern, 1);
    return first;
  }

  /** The first `count` lines that have all the properties of the pattern. */
  async linesLike(pattern, count) {
    for (;;) {
      const found = this.seen(pattern);
      if (found.length >= count) return found.slice(0, count);
      if (this.#failure) throw this.#failure;
      if (!this.isRunning) throw this.#error(`ended before ${count} × ${JSON.stringify(pattern)}`);
      await once(this, 'news');
    }
  }

  /** The lines so far that have all the properties of the pattern. */
  seen(pattern) {
    return this.lines.filter((line) => matches(line, pattern));
  }

  /** All matches of a regular expression in the output, as soon as there are `count`. */
  async matches(pattern, count = 1) {
    for (;;) {
      const found = [...this.stdout.matchAll(pattern)];
      if (found.length >= count) return found;
      if (this.#failure) throw this.#failure;
      if (!this.isRunning) throw this.#error(`ended before ${count} × ${pattern}`);
      await once(this, 'news');
    }
  }

  /** Sends the program a command; see `fixtures/shared/commands.js`. */
  send(command) {
    this.write(`${JSON.stringify(command)}\n`);
  }

  write(text) {
    this.#child.stdin.write(text);
  }

  signal(signal) {
    this.#child.kill(signal);
  }

  /** Takes no more of what the program writes, like a terminal that is closed. */
  closeOutputs() {
    this.#child.stdout.destroy();
    this.#child.stderr.destroy();
  }

  /** Asks the program to end in its own way; resolves to how it does. */
  finish() {
    this.#child.stdin.end();
    return this.exited;
  }

  /** Asks the program to end in its own way, and checks that it does, successfully. */
  async end() {
    const result = await this.finish();
    if (result.code !== 0) throw this.#error(`ended with ${result.code ?? result.signal}, not 0`);
    return result;
  }

  /** Everything that a failed test should print. */
  toString() {
    const failure = this.#failure ? `${this.#failure.message}\n` : '';
    return `${failure}--- stdout\n${this.stdout}--- stderr\n${this.stderr}`;
  }

  destroy() {
    signalSession(this.pid, 'SIGKILL');
  }

  #collect() {
    for (const name of ['stdout', 'stderr']) {
      this.#child[name].setEncoding('utf8').on('data', (text) => {
        this[name] += text;
        this.emit('news');
      });
    }
    readline.createInterface({ input: this.#child.stdout }).on('line', (text) => {
      if (!text.startsWith('{')) return;
      this.lines.push(JSON.parse(text));
      this.emit('news');
    });
  }

  async #exit() {
    // Workers share the outputs, so 'close' comes after the last worker is gone.
    const closed = once(this.#child, 'close');
    const [code, signal] = await once(this.#child, 'exit');
    const gone = await becomesTrue(() => membersOfSession(this.pid).length === 0, this.#goneWithin);
    const left = membersOfSession(this.pid).map(({ pid, command }) => `${pid} ${command}`);
    this.destroy();
    await closed;
    this.emit('news');
    if (!gone) this.#failure ??= this.#error(`left processes behind:\n${left.join('\n')}`);
    this.#failure ??= this.#trouble();
    if (this.#failure) throw this.#failure;
    const { lines, stdout, stderr } = this;
    return { code, signal, lines, stdout, stderr };
  }

  #trouble() {
    const [crash] = this.stderr.match(CRASH) ?? [];
    if (crash && !this.#crashes) return this.#error(`reports a crash: ${crash}`);
    const [warning] = this.stderr.match(WARNING) ?? [];
    return warning && !this.#warns ? this.#error(`printed a warning: ${warning}`) : undefined;
  }

  #fail(reason) {
    this.#failure = this.#error(reason);
    this.destroy();
    this.emit('news');
  }

  #error(reason) {
    return new Error(`${this.#name} ${reason}`);
  }
}

/** The path of a file in `fixtures/`; `.js` may be left out. */
function fixturePath(name) {
  return path.resolve(FIXTURES, path.extname(name) ? name : `${name}.js`);
}

/**
 * The environment for fixtures, without the colors that the test runner requests, and without its
 * debugger.
 */
function environment() {
  const { FORCE_COLOR, NODE_DEBUG, NODE_OPTIONS, NODE_CLUSTER_SCHED_POLICY, ...env } = process.env;
  return env;
}

function matches(line, pattern) {
  return Object.entries(pattern).every(([key, value]) => isDeepStrictEqual(line[key], value));
}

/** Starts a program that the test drives; the test must wait for its end, and check it. */
function start(t, name, options) {
  const program = new Program(name, options);
  t.teardown(async () => {
    const forgotten = program.isRunning;
    program.destroy();
    if (!t.passed) return t.log(program.toString());
    if (forgotten) throw new Error(`${name} still runs at the end of its test`);
    return program.exited;
  });
  return program;
}

/** Runs a program to its end. */
function run(t, name, options) {
  return start(t, name, options).exited;
}

module.exports = { FIXTURES, environment, fixturePath, run, start };
