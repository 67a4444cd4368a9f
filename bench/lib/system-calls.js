'use strict';

// Counts the system calls of one thread, by strace.

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { once } = require('node:events');
const { setTimeout: pause } = require('node:timers/promises');
const { describeEnd, keepTail } = require('../../tools/output.js');
const { startProcess } = require('../../tools/processes.js');
const { UserError } = require('../../tools/user-error.js');

// `close(7) = 0`, or `recvmsg(9, …) = -1 EAGAIN (…)`.
const CALL = /^(\w+)\((.*)\)\s+= (-?\d+|\?)(?: ([A-Z]+))?/;
const OPENED = /^AT_FDCWD, "\/proc\//;

function requireStrace() {
  if (spawnSync('strace', ['-V']).error?.code === 'ENOENT') {
    throw new UserError('strace is missing, which counts system calls: apt-get install strace');
  }
}

/**
 * Counts the lines of strace by the names of the calls.
 *
 * @param {string} text
 * @param {Iterable<number>} [open] the descriptors of files in /proc that were open before
 * @returns how many calls there were: `all`, `byName`, those that `succeeded` by name, those whose result was EAGAIN
 *   (`again`) by name, and reads of files in /proc (`proc`)
 */
function countCalls(text, open = []) {
  const inProc = new Set(open);
  const counts = { all: 0, succeeded: {}, byName: {}, again: {}, proc: 0 };
  const add = (kind, name) => {
    counts[kind][name] = (counts[kind][name] ?? 0) + 1;
  };
  for (const line of text.split('\n')) {
    const [, name, args, result, error] = CALL.exec(line) ?? [];
    if (name === undefined) continue;
    counts.all += 1;
    add('byName', name);
    if (error === undefined) add('succeeded', name);
    if (error === 'EAGAIN') add('again', name);
    const descriptor = Number.parseInt(args, 10);
    if (name === 'openat' && OPENED.test(args) && error === undefined) inProc.add(Number(result));
    if (name === 'close') inProc.delete(descriptor);
    if (/^p?read/.test(name) && inProc.has(descriptor)) counts.proc += 1;
  }
  return counts;
}

function descriptorsInProc(pid) {
  const directory = `/proc/${pid}/fd`;
  const isInProc = (name) => {
    try {
      return fs.readlinkSync(path.join(directory, name)).startsWith('/proc/');
    } catch {
      return false; // closed meanwhile
    }
  };
  return fs.readdirSync(directory).filter(isInProc).map(Number);
}

/** Traces a thread of a process for so many seconds; resolves to the counts of `countCalls`. */
async function traceCalls({ pid, thread }, seconds) {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rs-cluster-bench-'));
  const file = path.join(directory, 'calls');
  const open = descriptorsInProc(pid);
  const args = ['-qq', '-s', '0', '-e', 'signal=none', '-o', file, '-p', String(thread)];
  const child = startProcess('strace', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const stderr = keepTail(child.stderr);
  const ended = once(child, 'close');
  try {
    const early = await Promise.race([ended, pause(seconds * 1e3)]);
    if (early) throw new UserError(`strace: ${describeEnd(...early, stderr())}`);
    child.kill('SIGINT');
    await ended;
    return countCalls(fs.readFileSync(file, 'latin1'), open);
  } finally {
    child.kill('SIGKILL');
    fs.rmSync(directory, { recursive: true, force: true });
  }
}

module.exports = { countCalls, requireStrace, traceCalls };
