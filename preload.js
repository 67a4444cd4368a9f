'use strict';

// The first code to run in every worker: fork() names it in NODE_OPTIONS, before the user's own preloads, and
// on the command line. It hides both from the worker and its children, and attaches the lanes. Where Node
// ignores both, as in a single executable that takes no options from outside, `require('rs-cluster')` loads
// it.

const cluster = require('node:cluster');
const { writeSync } = require('node:fs');

const VARIABLE = 'RS_CLUSTER_WORKER';

function stripArguments(preload) {
  // In older versions, a single executable takes our arguments for those of its program.
  for (const args of [process.execArgv, process.argv]) {
    const index = args.indexOf(preload);
    if (args[index - 1] === '--require') args.splice(index - 1, 2);
  }
}

/** @param {object} replaced the former values of variables; null for one that was not set */
function restoreEnvironment(replaced) {
  delete process.env[VARIABLE];
  for (const [name, value] of Object.entries(replaced)) {
    if (value === null) delete process.env[name];
    else process.env[name] = value;
  }
}

function attach(lanes, serialization, binary, supervised) {
  try {
    require('./lib/addon/binary.js').chosen.file = binary;
    require('./lib/worker/attach.js')(lanes, serialization, supervised);
  } catch (error) {
    report(lanes[1], error);
    process.exit(1);
  }
}

/** Tells the primary, which shows each reason once. Otherwise every worker would show it. */
function report(controlFd, error) {
  try {
    writeSync(controlFd, JSON.stringify({ act: 'unable', reason: reasonOf(error) }));
  } catch {
    // The primary is gone.
  }
}

function reasonOf({ message, code, resource = '', stack }) {
  // An error without a code is a fault of ours.
  if (code === undefined) return stack;
  if (code !== 'ERR_ACCESS_DENIED') return message;
  return `${message} The worker may not read ${resource}: see --allow-fs-read.`;
}

const given = process.env[VARIABLE];
if (given === undefined) {
  // A thread of the worker inherits nothing but the preload.
  stripArguments(__filename);
} else {
  const { lanes, serialization, preload, binary, replaced, supervised } = JSON.parse(given);
  stripArguments(preload);
  restoreEnvironment(replaced);
  // Other processes may inherit the variable, but only the worker has that role in Node.
  if (cluster.isWorker) attach(lanes, serialization, binary, supervised);
}
