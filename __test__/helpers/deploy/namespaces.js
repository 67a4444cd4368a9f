'use strict';

// Process 1 of a namespace of processes, as in a container.

const { readFileSync, readdirSync } = require('node:fs');
const { startDaemon } = require('./daemon');
const { findProgram } = require('../../../tools/debian-packages');

// Root may make namespaces; others may in a namespace of users, where the system allows that.
const USERS = process.getuid() === 0 ? [] : ['--user', '--map-root-user'];
const NAMESPACES = [...USERS, '--pid', '--fork', '--mount-proc', '--kill-child'];

/** All processes: `{ pid, parent, state, command }`. */
function processes() {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
        const [, command, state, parent] = /\((.*)\) (\S) (\d+)/s.exec(stat);
        return [{ pid: Number(pid), parent: Number(parent), state, command }];
      } catch {
        return []; // It has ended.
      }
    });
}

const childrenOf = (pid) => processes().filter(({ parent }) => parent === pid);

/**
 * Starts a command as process 1. `signal()` sends it a signal from outside, as an engine of containers does.
 *
 * @param {string[]} command
 */
function startAsFirst(t, command, options) {
  const daemon = startDaemon(t, findProgram('unshare'), [...NAMESPACES, ...command], options);
  /** Process 1, by its id outside. */
  const first = () => childrenOf(daemon.pid)[0]?.pid;
  return Object.assign(daemon, {
    first,
    signal: (signal) => process.kill(first(), signal),
  });
}

module.exports = { childrenOf, startAsFirst };
