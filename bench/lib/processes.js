'use strict';

// Every process of a benchmark is started here, as the leader of a process group of its own, so
// that one signal ends it together with the workers it has forked.

const { spawn } = require('node:child_process');

const running = new Set();

function killGroup(child) {
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch (error) {
    // ESRCH: nobody is left. macOS says EPERM when only zombies are.
    if (error.code !== 'ESRCH' && error.code !== 'EPERM') throw error;
  }
}

/** Like `spawn`; the child's own children never outlive it, and it never outlives this process. */
function startProcess(command, args, options) {
  const child = spawn(command, args, { ...options, detached: true });
  if (child.pid === undefined) return child; // its 'error' event tells why
  running.add(child);
  child.once('exit', () => {
    killGroup(child);
    running.delete(child);
  });
  return child;
}

process.on('exit', () => {
  for (const child of running) killGroup(child);
});

module.exports = { killGroup, startProcess };
