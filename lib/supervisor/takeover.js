'use strict';

// A primary that another one has started, to take its place. It finds the number of the lane between the two in a
// variable, and takes over when `supervise()` is called.

const { isMainThread } = require('node:worker_threads');
const binding = require('../addon/binding.js');
const errors = require('../errors.js');
const { version } = require('../addon/release.js');
const VARIABLE = require('./upgrade-variable.js');

/** The longest text that the other primary takes, in bytes. */
const MOST_BYTES = 8192;

/** Whether another primary waits for this one. */
let isAwaited = false;
/** Has the lane once it has taken over what it was offered. */
let engine;

/** Removes the variable from the environment, which child processes get, and keeps the lane to this process. */
function claim() {
  const number = process.env[VARIABLE];
  // Threads have the variables of the main thread, which supervises.
  if (number === undefined || !isMainThread) return;
  delete process.env[VARIABLE];
  isAwaited = binding.Engine.claimLane(Number(number));
  if (isAwaited) process.on('uncaughtExceptionMonitor', tellCrash);
}

/**
 * Asks the other primary for what it has, if there is one.
 *
 * @returns {{ generation: number, pid: number, version: string, node: string, control: string | null,
 *   admin: string | null } | undefined}
 * @throws if it offers nothing
 */
function takeOver(ownEngine) {
  if (!isAwaited) return undefined;
  engine = ownEngine;
  try {
    return engine.takeOver({ version, node: process.version });
  } catch ({ message }) {
    throw errors.supervision('TAKEOVER', `the running primary can't be replaced: ${message}`, {});
  }
}

/** This primary serves. */
function end() {
  isAwaited = false;
  process.removeListener('uncaughtExceptionMonitor', tellCrash);
}

/** Tells the other primary, which then goes on, why this one does not take its place. */
function fail(error) {
  if (!isAwaited) return;
  end();
  engine ??= new binding.Engine(() => {});
  engine.takeOverFailed(fit(`${error?.message ?? error}`));
}

/** An exception that the program does not catch ends this process. */
function tellCrash(error) {
  if (process.listenerCount('uncaughtException') === 0) fail(error);
}

function fit(text) {
  const bytes = Buffer.from(text);
  // A character that is cut in two ends as U+FFFD, which has more bytes than what is left of it.
  return bytes.length <= MOST_BYTES ? text : `${bytes.subarray(0, MOST_BYTES - 3)}`;
}

module.exports = {
  claim,
  end,
  fail,
  takeOver,
  get isAwaited() {
    return isAwaited;
  },
};
