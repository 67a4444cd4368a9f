'use strict';

// Starts each process of a tool as the leader of its own session, so that it can be ended together with the
// processes that it has started, also with those that lead process groups of their own.

const { spawn } = require('node:child_process');
const { signalSession } = require('./process-group.js');

const running = new Set();

/** Like `spawn`; neither the child nor its own children outlive this process, or `endGroup`. */
function startGroup(command, args, options) {
  const child = spawn(command, args, { ...options, detached: true });
  if (child.pid !== undefined) running.add(child); // otherwise its 'error' event says why
  return child;
}

function killGroup(child) {
  signalSession(child.pid, 'SIGKILL');
}

/** Ends the remaining processes of a session whose leader has exited. */
function endGroup(child) {
  killGroup(child);
  running.delete(child);
}

/** Like `startGroup`; the child's own children never outlive it. */
function startProcess(command, args, options) {
  const child = startGroup(command, args, options);
  child.once('exit', () => endGroup(child));
  return child;
}

process.on('exit', () => {
  for (const child of running) killGroup(child);
});

module.exports = { endGroup, killGroup, startGroup, startProcess };
