'use strict';

// Shows on a terminal what the slots are at while an operation runs.

const { duration } = require('./format.js');
const { printable, styleFor, widthOf } = require('./style.js');

const INTERVAL = 150;
const HIDE_CURSOR = '\x1b[?25l';
const SHOW_CURSOR = '\x1b[?25h';
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/** Lines on stderr that are drawn again in place, and removed at the end. */
class Progress {
  #output = process.stderr;
  #style = styleFor(process.stderr);
  #drawn = 0;
  #onExit = () => this.clear();
  #onSignal = (signal) => {
    this.clear();
    process.removeListener(signal, this.#onSignal);
    process.kill(process.pid, signal);
  };

  open() {
    process.on('exit', this.#onExit);
    for (const signal of SIGNALS) process.on(signal, this.#onSignal);
    this.#output.write(HIDE_CURSOR);
  }

  draw(lines) {
    const most = Math.max(2, (this.#output.rows || 24) - 2);
    const width = widthOf(this.#output);
    const shown =
      lines.length > most
        ? [...lines.slice(0, most - 1), `… ${lines.length - most + 1} more`]
        : lines;
    const text = shown.map((line) => line.slice(0, width - 1)).map((line) => this.#paint(line));
    this.#output.write(`${this.#up()}${text.join('\n')}\n\x1b[J`);
    this.#drawn = shown.length;
  }

  clear() {
    this.#output.write(`${this.#up()}\x1b[J${SHOW_CURSOR}`);
    this.#drawn = 0;
  }

  close() {
    process.removeListener('exit', this.#onExit);
    for (const signal of SIGNALS) process.removeListener(signal, this.#onSignal);
    this.clear();
  }

  #up() {
    return this.#drawn === 0 ? '' : `\x1b[${this.#drawn}A\r`;
  }

  #paint(line) {
    const { green, cyan, yellow, red } = this.#style;
    return line
      .replace(/\bready\b/, green)
      .replace(/\bstarting\b/, cyan)
      .replace(/\bwaiting\b/, yellow)
      .replace(/\bfailed\b/, red);
  }
}

/**
 * Waits for an operation, and shows what happens meanwhile, if this is a terminal.
 *
 * @param {Client} client
 * @param {string} title such as 'reloading'
 * @param {object} before the status when it began
 * @param {Promise} operation
 */
async function showProgress(client, title, before, operation) {
  if (!process.stderr.isTTY || process.env.TERM === 'dumb') return operation;
  const progress = new Progress();
  const began = Date.now();
  let timer;
  let hasEnded = false;
  const poll = async () => {
    const status = await client.status().catch(() => undefined);
    if (hasEnded) return;
    if (status !== undefined)
      progress.draw(progressLines(title, before, status, Date.now() - began));
    timer = setTimeout(poll, INTERVAL);
  };
  progress.open();
  timer = setTimeout(poll, INTERVAL);
  try {
    return await operation;
  } finally {
    hasEnded = true;
    clearTimeout(timer);
    progress.close();
  }
}

function progressLines(title, before, { slots, draining }, ms) {
  const old = new Map(before.slots.map(({ slot, worker }) => [slot, worker]));
  const lines = slots.map(({ slot, state, worker, generation, nextStart }) => {
    const place = `  slot ${slot}`.padEnd(10);
    const text =
      state === 'waiting' && nextStart !== null ? `waiting ${duration(nextStart)}` : state;
    const isNew = worker !== null && worker !== old.get(slot);
    const who =
      worker === null
        ? ''
        : `worker ${worker}${generation === null ? '' : `, generation ${generation}`}`;
    return `${place}${printable(text).padEnd(16)}${who}${isNew ? ', new' : ''}`;
  });
  const leaving = draining.length > 0 ? [`  ${draining.length} draining`] : [];
  return [`${title} (${duration(ms)})`, ...lines, ...leaving];
}

module.exports = { showProgress };
