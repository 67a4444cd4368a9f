'use strict';

// What a program has on this machine: its processes, descriptors, listening sockets and files.

const { readFileSync, readdirSync, readlinkSync } = require('node:fs');
const path = require('node:path');
const { membersOfSession } = require('../../tools/process-group');

const LISTENS = '0A';
const KIB = 1024;

/** The pids of a session, without zombies. */
const processesOf = (session) =>
  membersOfSession(session)
    .map(({ pid }) => pid)
    .sort((a, b) => a - b);

function targetOf(pid, fd) {
  try {
    return readlinkSync(`/proc/${pid}/fd/${fd}`);
  } catch {
    return undefined; // It has been closed meanwhile.
  }
}

/** What the descriptors of a process lead to, without those that its threads open for a moment to read something. */
function descriptorsOf(pid) {
  const targets = readdirSync(`/proc/${pid}/fd`).map((fd) => targetOf(pid, fd));
  return targets.filter((it) => it !== undefined && !/^\/(?:proc|sys)\//.test(it));
}

/** The resident memory of a process, in bytes. */
function memoryOf(pid) {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  return Number(/^VmRSS:\s*(\d+) kB$/m.exec(status)[1]) * KIB;
}

/** The inodes of the TCP sockets that listen on a port of an IPv4 address. */
function listeningOn(port) {
  const wanted = port.toString(16).toUpperCase().padStart(4, '0');
  const rows = readFileSync('/proc/net/tcp', 'latin1').trim().split('\n').slice(1);
  return rows
    .map((row) => row.trim().split(/\s+/))
    .filter(([, local, , state]) => state === LISTENS && local.endsWith(`:${wanted}`))
    .map((fields) => Number(fields[9]))
    .sort((a, b) => a - b);
}

/** The files in directories, by their paths below them. */
function filesIn(...directories) {
  const below = (directory, prefix) =>
    readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
      const name = path.join(prefix, entry.name);
      return entry.isDirectory() ? below(path.join(directory, entry.name), name) : [name];
    });
  return directories.flatMap((it) => below(it, path.basename(it))).sort();
}

module.exports = { descriptorsOf, filesIn, listeningOn, memoryOf, processesOf };
