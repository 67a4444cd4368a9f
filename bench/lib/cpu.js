'use strict';

// CPU time of other processes, from /proc. The scheduler's own count (schedstat) is in
// nanoseconds; the classic one (stat) is in ticks of 10 ms, and is used if the kernel was built without the
// former.

const fs = require('node:fs');
const { TICKS_A_SECOND, fieldsOfStat } = require('./process-times.js');

const MICROSECONDS_A_TICK = 1e6 / TICKS_A_SECOND;

/** The utime and stime of proc(5). */
function ticksOf(stat) {
  const fields = fieldsOfStat(stat);
  return Number(fields[11]) + Number(fields[12]);
}

function fromStat(pid) {
  return ticksOf(fs.readFileSync(`/proc/${pid}/stat`, 'utf8')) * MICROSECONDS_A_TICK;
}

function threadFromSchedstat(pid, thread) {
  try {
    const schedstat = fs.readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8');
    return Number(schedstat.split(' ')[0]) / 1e3;
  } catch (error) {
    // The thread ended between the listing and the reading.
    if (error.code === 'ENOENT' || error.code === 'ESRCH') return 0;
    throw error;
  }
}

// /proc/<pid>/schedstat covers only the main thread, so the threads are added up.
function fromSchedstat(pid) {
  const threads = fs.readdirSync(`/proc/${pid}/task`);
  return threads.reduce((sum, thread) => sum + threadFromSchedstat(pid, thread), 0);
}

function works(source) {
  try {
    return source(process.pid) > 0;
  } catch {
    return false;
  }
}

const SOURCES = [
  ['/proc/<pid>/task/*/schedstat', fromSchedstat],
  ['/proc/<pid>/stat', fromStat],
];

/** The source of CPU times on this system; undefined if there is no /proc. */
const [cpuSource, readCpu] = SOURCES.find(([, source]) => works(source)) ?? [];

/** Microseconds of CPU time that the processes have used so far; null if that is unknown. */
function cpuOf(pids) {
  if (!readCpu) return null;
  return pids.reduce((sum, pid) => sum + readCpu(pid), 0);
}

/** Microseconds that the thread of a process with this name has used so far; null if that is unknown. */
function threadCpuOf(pid, name) {
  if (readCpu !== fromSchedstat) return null;
  const thread = threadOf(pid, name);
  return thread === undefined ? null : threadFromSchedstat(pid, thread);
}

/** The id of the thread of a process with this name, if there is one. */
function threadOf(pid, name) {
  const threads = fs.readdirSync(`/proc/${pid}/task`);
  return threads.find((it) => nameOf(pid, it) === name);
}

function nameOf(pid, thread) {
  return fs.readFileSync(`/proc/${pid}/task/${thread}/comm`, 'utf8').trim();
}

module.exports = { cpuOf, cpuSource, threadCpuOf, threadOf };
