'use strict';

// The first code to run in every worker: fork() names it in NODE_OPTIONS, before the user's own
// preloads, and on the command line. It takes all that is ours out of what the worker and its
// children can see, and attaches the lanes. Where Node heeds neither, as in a single executable that
// takes no options from outside, `require('rs-cluster')` loads it.

const cluster = require('node:cluster');
const { writeSync } = require('node:fs');

const VARIABLE = 'RS_CLUSTER_WORKER';

function stripArguments(preload) {
  // A single executable of older versions takes our arguments for those of its program.
  for (const args of [process.execArgv, process.argv]) {
    const index = args.indexOf(preload);
    if (args[index - 1] === '--require') args.splice(index - 1, 2);
  }
}

/** `replaced` has what variables were; null for one that was not there. */
function restoreEnvironment(replaced) {
  delete process.env[VARIABLE];
  for (const [name, value] of Object.entries(replaced)) {
    if (value === null) delete process.env[name];
    else process.env[name] = value;
  }
}

function attach(lanes, serialization, binary) {
  try {
    require('./lib/addon/binary.js').chosen.file = binary;
    require('./lib/worker/attach.js')(lanes, serialization);
  } catch (error) {
    tell(lanes[1], error);
    process.exit(1);
  }
}

/** Once, by the primary, and not by every worker. */
function tell(controlLane, error) {
  try {
    writeSync(controlLane, JSON.stringify({ act: 'unable', reason: reasonOf(error) }));
  } catch {
    // It is gone.
  }
}

function reasonOf({ message, code, resource = '', stack }) {
  // It is no error that is known.
  if (code === undefined) return stack;
  if (code !== 'ERR_ACCESS_DENIED') return message;
  return `${message} The worker may not read ${resource}: see --allow-fs-read.`;
}

const given = process.env[VARIABLE];
if (given === undefined) {
  // A thread of the worker: it inherits the preload, and nothing else.
  stripArguments(__filename);
} else {
  const { lanes, serialization, preload, binary, replaced } = JSON.parse(given);
  stripArguments(preload);
  restoreEnvironment(replaced);
  // Whatever else may have inherited the variable, the worker alone is one to Node.
  if (cluster.isWorker) attach(lanes, serialization, binary);
}
