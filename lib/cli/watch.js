'use strict';

// `status --watch`: on a terminal a table that changes in place, otherwise a line each time.

const { setTimeout: pause } = require('node:timers/promises');
const { EXIT } = require('./errors.js');
const { statusLines, summaryLine } = require('./status-view.js');
const { printable, styleFor, widthOf } = require('./style.js');

const INTERVAL = 1_000;

async function watch(client, { json, interval = INTERVAL, timeout }) {
  // The first answer decides whether there is a primary at all.
  const first = await client.status(timeout);
  const output = process.stdout;
  if (json || !output.isTTY) {
    return printAgain(client, first, {
      interval,
      timeout,
      line: json ? JSON.stringify : summaryLine,
    });
  }
  return drawAgain(client, first, { interval, timeout });
}

/** Ends with an error when the primary is gone. */
async function printAgain(client, first, { interval, timeout, line }) {
  let before;
  let status = first;
  for (;;) {
    process.stdout.write(`${line(status, before)}\n`);
    await pause(interval);
    before = status;
    status = await client.status(timeout);
  }
}

/** Goes on while the primary is gone, because it may be about to be started again. */
async function drawAgain(client, first, { interval, timeout }) {
  const Screen = require('./screen.js');
  const style = styleFor(process.stdout);
  const ending = new AbortController();
  let shown = { status: first };
  const lines = () => [...viewOf(shown, style), '', style.dim('q quits')];
  const screen = new Screen({ end: () => ending.abort(), resize: () => screen.draw(lines()) });
  screen.open();
  try {
    for (;;) {
      screen.draw(lines());
      await pause(interval, undefined, { signal: ending.signal });
      shown = await next(client, shown, timeout);
    }
  } catch (error) {
    if (error.name !== 'AbortError') throw error;
  } finally {
    screen.close();
  }
  // What was there at the end stays to be seen.
  process.stdout.write(`${viewOf(shown, style).join('\n')}\n`);
  return EXIT.done;
}

async function next(client, { status }, timeout) {
  try {
    const before = status;
    return { status: await client.status(timeout), before };
  } catch (error) {
    if (error.exitCode === undefined) throw error;
    return { status, error };
  }
}

function viewOf({ status, before, error }, style) {
  const isSame = before?.pid === status.pid && before?.totals && status.now > before.now;
  const how = { style, width: widthOf(process.stdout), before: isSame ? before : undefined };
  const lines = statusLines(status, how);
  return error === undefined ? lines : [style.red(printable(error.message)), ...lines];
}

module.exports = { watch };
