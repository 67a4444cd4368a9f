'use strict';

// Connections that stay open, whose clients say nothing any more: many processes of the load generator, each
// with an address of its own.

const fs = require('node:fs');
const readline = require('node:readline');
const { withDeadline } = require('./deadline.js');
const { PROGRAM } = require('./load.js');
const { describeEnd, keepTail } = require('../../tools/output.js');
const { killGroup, startProcess } = require('../../tools/processes.js');
const { UserError } = require('../../tools/user-error.js');

/** Of one client: its address has not many more ports than that. */
const MOST = 10_000;
/** What a process needs besides connections. */
const OTHER_DESCRIPTORS = 100;
const OPEN_LIMIT_MS = 60_000;
const CLOSE_LIMIT_MS = 10_000;

/** How many descriptors a process may have that raises its limit as far as it may. */
function descriptorLimit() {
  const line = /^Max open files +\S+ +(\S+)/m.exec(fs.readFileSync('/proc/self/limits', 'utf8'));
  return line[1] === 'unlimited' ? Number.POSITIVE_INFINITY : Number(line[1]);
}

/** Why so many connections can't be open here at once, where so many workers serve them. */
function whyNotKept(count, workers) {
  const limit = descriptorLimit();
  // They are not spread quite evenly.
  const needed = Math.ceil((count / workers) * 1.2) + OTHER_DESCRIPTORS;
  if (needed <= limit) return undefined;
  return `a process may have ${limit} descriptors here (ulimit -Hn), a worker needs ${needed}`;
}

function clientsOf(count) {
  const each = Math.min(MOST, descriptorLimit() - OTHER_DESCRIPTORS);
  const clients = Math.ceil(count / each);
  const sizeOf = (client) => Math.floor(count / clients) + (client < count % clients ? 1 : 0);
  return Array.from({ length: clients }, (_, client) => ({
    source: `127.0.0.${client + 2}`,
    count: sizeOf(client),
  }));
}

class Client {
  #child;
  #stderr;
  #lines;

  constructor(kept) {
    this.#child = startProcess(PROGRAM, ['kept', JSON.stringify(kept)], { stdio: 'pipe' });
    this.#stderr = keepTail(this.#child.stderr);
    this.#child.stdin.on('error', () => {}); // the end of the process says more
    this.#lines = readline.createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  async #line(limit) {
    const next = this.#lines.next();
    const { value, done } = await withDeadline(next, limit, () => 'the load generator hangs');
    if (!done) return JSON.parse(value);
    const { exitCode, signalCode } = this.#child;
    const ended = describeEnd(exitCode, signalCode, this.#stderr());
    throw new UserError(`The load generator ended early: ${ended}`);
  }

  open() {
    return this.#line(OPEN_LIMIT_MS);
  }

  async close() {
    this.#child.stdin.end();
    const { lost } = await this.#line(CLOSE_LIMIT_MS);
    return lost;
  }

  kill() {
    if (this.#child.exitCode === null) killGroup(this.#child);
  }
}

/**
 * Opens so many connections to the port, each of which has one answer; resolves when all have.
 * `close()` resolves to how many of them the server has closed.
 */
async function keepOpen(port, count) {
  const clients = clientsOf(count).map((client) => new Client({ port, ...client }));
  const kill = () => {
    for (const client of clients) client.kill();
  };
  const close = async () => {
    const lost = await Promise.all(clients.map((client) => client.close()));
    return lost.reduce((sum, it) => sum + it, 0);
  };
  try {
    await Promise.all(clients.map((client) => client.open()));
    return { close, kill };
  } catch (error) {
    kill();
    throw error;
  }
}

module.exports = { keepOpen, whyNotKept };
