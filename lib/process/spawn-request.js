'use strict';

const { environmentPairs, standardStreams, toPath, validate } = require('../node/fork-options.js');
const preloading = require('./preloading.js');

// Node has no permissions in most processes, and can't get them later.
const permissions = process.permission && require('./permissions.js');

/**
 * What to start, and how, for a worker with these settings.
 *
 * @param {object} settings those of `setupPrimary()`, and `queueTimeout`
 * @param {object} env the worker's whole environment
 * @param {string} [preload] the file to load first, if not that of this package
 * @returns {object} for ChildProcess `spawn`, and for the engine the rest
 * @throws what `child_process.fork()` throws for options of the wrong type
 */
function spawnRequest(settings, env, preload) {
  validate(settings, env);
  permissions?.checkFork();
  preloading.check(preload);
  permissions?.copyTo(env, settings.execArgv);
  const stdio = standardStreams(settings);
  const ipcFd = stdio.indexOf('ipc');
  // The engine makes this channel. Node throws if there is a second one.
  if (ipcFd === stdio.lastIndexOf('ipc')) stdio[ipcFd] = 'ignore';
  const { exec, args, execArgv, cwd, uid, gid, serialization } = settings;
  return {
    ipcFd,
    serialization: serialization ?? 'json',
    queueTimeout: settings.queueTimeout,
    spawn: {
      file: process.execPath,
      args: [process.execPath, ...execArgv, toPath(exec), ...(args ?? [])],
      // An empty one means that of the primary.
      cwd: cwd ? toPath(cwd) : undefined,
      envPairs: environmentPairs(env),
      uid: uid ?? undefined,
      gid: gid ?? undefined,
      stdio,
      serialization,
    },
  };
}

module.exports = spawnRequest;
