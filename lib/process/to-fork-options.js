'use strict';

const { toCString } = require('../node/fork-options.js');
const preloading = require('./preloading.js');

/**
 * The engine's EngineRecipe, by which it starts one worker or many. The lanes get the numbers after those of `stdio`, except for the
 * IPC channel, which has its place there.
 *
 * @param {object} spawned what ChildProcess gives to its handle. Its `stdio` is, for each descriptor of the
 *   child, that of this process, or what the engine takes for one that is closed, ignored or a pipe
 * @param {object} request see `spawnRequest()`
 * @param {object} [supervised] of a worker under supervision only
 * @param {{ preload: string, binary: string }} [copy] of our files, for the worker to load
 */
function toForkOptions(spawned, request, supervised, copy) {
  const { file, args, cwd, envPairs, stdio, uid, gid } = spawned;
  const { ipcFd, serialization, queueTimeout } = request;
  const next = stdio.length;
  const lanes = [ipcFd, next, next + 1, next + 2];
  if (supervised !== undefined) lanes.push(next + 3);
  const [ipcChannel, controlSocket, handOffQueue, memory, watchdog] = lanes;
  const worker = { lanes, serialization, supervised };
  return {
    file,
    ...preloading.addTo(args.map(toCString), envPairs, worker, copy),
    cwd,
    stdio,
    ipcChannel,
    controlSocket,
    handOffQueue,
    memory,
    watchdog,
    queueTimeout,
    uid,
    gid,
  };
}

module.exports = toForkOptions;
