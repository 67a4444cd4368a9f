'use strict';

const { spawn } = require('node:child_process');
const { EventEmitter, once } = require('node:events');
const http = require('node:http');
const path = require('node:path');
const { text } = require('./client');
const { environment } = require('./fixture');
const { execPath } = require('./implementation');
const {
  becomesTrue,
  membersOfSession,
  signalGroup,
  signalSession,
} = require('../../tools/process-group');
const { afterTimeLimit } = require('../../tools/time-limit');

const WATCHDOG = 30_000;
// How long other processes may outlive this one.
const GONE_WITHIN = 2_000;
const BIN = path.join(__dirname, 'bin');

/** A block of the documentation that runs, as the leader of a session. */
class BlockProcess extends EventEmitter {
  output = '';
  answers = [];
  warns = false;
  #child;
  #seen = 0;
  #load;

  constructor([file, ...args], { directory, port, env }) {
    super();
    this.port = port;
    this.#child = spawn(file, args, {
      cwd: directory,
      env: {
        ...environment(),
        ...env,
        PATH: [BIN, path.dirname(execPath), process.env.PATH].join(':'),
      },
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream.setEncoding('utf8').on('data', (chunk) => {
        this.output += chunk;
        this.emit('news');
      });
    }
    const inTime = afterTimeLimit(WATCHDOG, () => this.destroy());
    const closed = once(this.#child, 'close');
    this.exited = once(this.#child, 'exit').then(async ([code, signal]) => {
      inTime();
      const gone = await becomesTrue(
        () => membersOfSession(this.#child.pid).length === 0,
        GONE_WITHIN,
      );
      const left = membersOfSession(this.#child.pid).map(({ command }) => command);
      this.destroy();
      await closed;
      this.emit('news');
      if (!gone) throw new Error(`it left processes behind: ${left.join(', ')}`);
      return signal ?? code;
    });
    this.exited.catch(() => {}); // The code that runs the steps handles this.
  }

  get isRunning() {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  destroy() {
    signalSession(this.#child.pid, 'SIGKILL');
  }

  async ask() {
    const request = http.get({ port: this.port, host: '127.0.0.1', agent: false });
    const [response] = await once(request, 'response');
    const answer = await text(response);
    if (response.statusCode !== 200) throw new Error(`${response.statusCode}: ${answer}`);
    return answer;
  }

  /** Asks a server that may not listen yet. */
  async askFirst() {
    let answer;
    const isAnswered = () =>
      this.ask().then(
        (said) => {
          answer = said;
          return true;
        },
        (error) => {
          if (error.code !== 'ECONNREFUSED' || !this.isRunning) throw error;
          return false;
        },
      );
    if (!(await becomesTrue(isAnswered, WATCHDOG))) throw new Error('no server listens');
    return answer;
  }

  async untilPrinted(pattern) {
    for (;;) {
      const found = pattern.exec(this.output.slice(this.#seen));
      if (found) {
        this.#seen += found.index + found[0].length;
        return;
      }
      if (!this.isRunning) {
        await this.exited;
        if (pattern.test(this.output.slice(this.#seen))) return;
        throw new Error(`it ended, and did not print ${pattern}`);
      }
      await once(this, 'news');
    }
  }

  signal(name) {
    if (name === 'SIGINT') signalGroup(this.#child.pid, name);
    else this.#child.kill(name);
  }

  startLoad() {
    const load = { isOn: true, answered: 0 };
    load.done = (async () => {
      while (load.isOn) {
        await this.ask();
        load.answered += 1;
      }
    })();
    load.done.catch(() => {}); // The step `rests` handles this.
    this.#load = load;
  }

  async endLoad() {
    this.#load.isOn = false;
    await this.#load.done;
    if (this.#load.answered === 0) throw new Error('no request was answered under load');
  }
}

module.exports = BlockProcess;
