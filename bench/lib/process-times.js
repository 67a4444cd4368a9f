'use strict';

// Processor time of the machine, and of the processes that a run has started, from /proc.

const fs = require('node:fs');
const os = require('node:os');
const zlib = require('node:zlib');

// USER_HZ: 100 on every architecture that Node runs on, whatever the kernel's own tick is.
const TICKS_A_SECOND = 100;

/** In the environment of all processes of a run, also of those whose parent has ended. */
const MARK = 'RS_CLUSTER_BENCH_RUN';

/** Reads a file of /proc; undefined if its process is gone, or belongs to someone else. */
function read(file, decode = (bytes) => bytes.toString('latin1')) {
  try {
    return decode(fs.readFileSync(file));
  } catch {
    return undefined;
  }
}

/**
 * Whether the kernel counts the time of interrupts apart from that of the processes that they interrupt, by its
 * configuration; most do.
 */
function countsInterruptsApart() {
  const config = read('/proc/config.gz', (bytes) => zlib.gunzipSync(bytes).toString());
  const text = config ?? read(`/boot/config-${os.release()}`) ?? 'CONFIG_IRQ_TIME_ACCOUNTING=y';
  return /^CONFIG_IRQ_TIME_ACCOUNTING=y$/m.test(text);
}

const withoutInterrupts = countsInterruptsApart();

/**
 * Seconds that all processors together have not been busy so far, by /proc/stat. The time that they are busy would be
 * less exact, because most kernels look at what runs only at every tick. Where the kernel does not charge interrupts to a
 * process, their time does not count as busy: those of the network are part of the load.
 */
function idleSeconds(stat, leaveOutInterrupts) {
  const [, , , idle, waiting, hard, soft] = stat
    .split('\n', 1)[0]
    .split(/\s+/)
    .slice(1)
    .map(Number);
  return (idle + waiting + (leaveOutInterrupts ? hard + soft : 0)) / TICKS_A_SECOND;
}

/** How many processors /proc/stat tells of. */
function processorsOf(stat) {
  return stat.match(/^cpu\d/gm).length;
}

/** The fields of /proc/<pid>/stat after the name of the command, which may hold spaces and parentheses. */
function fieldsOfStat(stat) {
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}

/** What /proc/<pid>/stat says: the parent, and the seconds of the process and of children it has waited for. */
function parseStat(stat) {
  const fields = fieldsOfStat(stat);
  const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
  return { parent: Number(fields[1]), seconds: ticks / TICKS_A_SECOND };
}

/**
 * The seconds of the processes of a run: of `root`, its descendants, and those that are marked, with their descendants.
 *
 * @param {Map<number, { parent: number, seconds: number }>} processes by their ids
 * @param {(pid: number) => boolean} isMarked
 */
function secondsOfRun(processes, root, isMarked) {
  const known = new Map([[root, true]]);
  const belongs = (pid) => {
    if (!known.has(pid)) {
      known.set(pid, false);
      const { parent } = processes.get(pid);
      known.set(pid, (processes.has(parent) && belongs(parent)) || isMarked(pid));
    }
    return known.get(pid);
  };
  return [...processes].reduce((sum, [pid, { seconds }]) => sum + (belongs(pid) ? seconds : 0), 0);
}

function readProcesses() {
  const pids = fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const stats = pids.map((pid) => [Number(pid), read(`/proc/${pid}/stat`)]);
  return new Map(stats.filter(([, stat]) => stat).map(([pid, stat]) => [pid, parseStat(stat)]));
}

/** Marks this process's later children. */
function markRun() {
  process.env[MARK] = String(process.pid);
}

/** Seconds of idle processors, and of the processors' time that this run has used, so far; undefined without /proc. */
function readTimes() {
  const stat = read('/proc/stat');
  if (stat === undefined) return undefined;
  const mark = `${MARK}=${process.pid}\0`;
  const isMarked = (pid) => read(`/proc/${pid}/environ`)?.includes(mark) ?? false;
  return {
    at: performance.now() / 1e3,
    processors: processorsOf(stat),
    idle: idleSeconds(stat, withoutInterrupts),
    own: secondsOfRun(readProcesses(), process.pid, isMarked),
  };
}

module.exports = {
  TICKS_A_SECOND,
  fieldsOfStat,
  idleSeconds,
  markRun,
  parseStat,
  processorsOf,
  readTimes,
  secondsOfRun,
};
