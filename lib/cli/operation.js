'use strict';

// A command that lets a primary do something, and waits for the outcome.

const { setTimeout: pause } = require('node:timers/promises');
const { connect } = require('./client-options.js');
const { CliError, EXIT } = require('./errors.js');
const { styleFor } = require('./style.js');

/** Where the answer to a stop may be a closed connection: how long the process then has to be gone. */
const GONE_TIMEOUT = 10_000;
const GONE_INTERVAL = 20;

/**
 * @param {object} values of CLIENT_OPTIONS
 * @param {object} what
 * @param {string} what.operation of the control socket
 * @param {object} [what.body]
 * @param {number} [what.patience] how long to wait, in milliseconds, if not for the option `timeout`
 * @param {(client: Client, before: object) => Promise<unknown>} [what.recover] finds out the outcome where the primary
 *   has ended before it has answered; undefined if it has failed
 * @param {string} what.title while it runs
 * @param {(value: unknown, status: object) => string} what.done what to print
 */
async function perform(values, what) {
  const { operation, body, patience = values.timeout, recover, title, done } = what;
  const client = await connect(values);
  // A primary that does not answer is noticed by this, however long the operation may take.
  const before = await client.status(values.timeout);
  const { showProgress } = require('./progress.js');
  const isStop = operation === 'stop';
  const answer = client.perform(operation, body, patience);
  const found = recover
    ? answer.catch((error) => recovered(error, recover, client, before))
    : answer;
  const outcome = isStop ? untilGone(answer, before.pid, values.timeout) : found;
  let value;
  try {
    value = values.json ? await outcome : await showProgress(client, title, before, outcome);
  } catch (error) {
    throw values.json ? error : withStderr(error);
  }
  const mark = process.stdout.isTTY ? `${styleFor(process.stdout).green('✔')} ` : '';
  const text = values.json ? JSON.stringify({ value: value ?? null }) : mark + done(value, before);
  process.stdout.write(`${text}\n`);
  return EXIT.done;
}

async function recovered(error, recover, client, before) {
  const value = isClosed(error) ? await recover(client, before) : undefined;
  if (value === undefined) throw error;
  return value;
}

/** A primary that ends may close the connection before it answers. */
function isClosed({ code }) {
  return code === 'ECONNRESET' || code === 'EPIPE';
}

async function untilGone(answer, pid, timeout = GONE_TIMEOUT) {
  let failure;
  const value = await answer.catch((error) => {
    if (!isClosed(error)) throw error;
    failure = error;
  });
  const deadline = Date.now() + timeout;
  while (isAlive(pid)) {
    // The program of the primary may have other things to do than to supervise.
    if (Date.now() > deadline) {
      if (failure) throw failure;
      break;
    }
    await pause(GONE_INTERVAL);
  }
  return value;
}

function isAlive(pid) {
  if (!Number.isInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch ({ code }) {
    return code !== 'ESRCH';
  }
}

/** For people the end of the worker's stderr follows the line. */
function withStderr(error) {
  const stderr = error.details?.stderr;
  if (!stderr) return error;
  const { message, exitCode, code, details } = error;
  const hint = `The end of its stderr:\n${stderr.trimEnd()}`;
  return new CliError(message, { exitCode, code, details, hint });
}

module.exports = { perform };
