'use strict';

const { existsSync, readFileSync, readdirSync } = require('node:fs');
const { setTimeout: pause } = require('node:timers/promises');
const { TimeLimit } = require('./time-limit');

const STOPPED_WITHIN = 10_000;

const HAS_PROC = existsSync('/proc/self/stat');

/** The running processes of a process group, without zombies. */
function membersOf(group) {
  try {
    process.kill(-group, 0);
  } catch {
    return [];
  }
  if (!HAS_PROC) return [{ pid: group, command: '(some member of the group)' }];
  return running().filter((found) => found.group === group);
}

/** The running processes of a session, which has more groups than that of its leader if workers lead their own. */
function membersOfSession(leader) {
  return HAS_PROC ? running().filter(({ session }) => session === leader) : membersOf(leader);
}

function running() {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(describe)
    .filter((found) => found && !'ZX'.includes(found.state));
}

function describe(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The command in parentheses may itself contain spaces and parentheses.
    const [state, , group, session] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
    return { pid: Number(pid), state, group: Number(group), session: Number(session), command };
  } catch {
    return undefined; // The process ended in the meantime.
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return !HAS_PROC || describe(pid)?.state !== 'Z';
  } catch {
    return false;
  }
}

function signalGroup(group, signal) {
  try {
    process.kill(-group, signal);
  } catch {
    // No process is left to receive the signal.
  }
}

/** Sends a signal to all processes of a session, by its leader. */
function signalSession(leader, signal) {
  signalGroup(leader, signal);
  for (const { pid } of membersOfSession(leader)) {
    try {
      process.kill(pid, signal);
    } catch {
      // It has ended meanwhile.
    }
  }
}

/** Resolves when no thread of the process group runs any more. */
async function stopGroup(group) {
  signalGroup(group, 'SIGSTOP');
  const isStopped = ({ pid }) =>
    readdirSync(`/proc/${pid}/task`).every(
      (thread) => describe(`${pid}/task/${thread}`)?.state === 'T',
    );
  if (!(await becomesTrue(() => membersOf(group).every(isStopped), STOPPED_WITHIN))) {
    throw new Error(`process group ${group} does not stop`);
  }
}

/**
 * Polls a condition for which there is no event; resolves to whether it became true within this many milliseconds
 * of an idle machine.
 */
async function becomesTrue(condition, milliseconds) {
  const limit = new TimeLimit(milliseconds);
  while (!(await condition())) {
    if (limit.left() === 0) return false;
    await pause(10);
  }
  return true;
}

module.exports = {
  HAS_PROC,
  becomesTrue,
  isAlive,
  membersOf,
  membersOfSession,
  signalGroup,
  signalSession,
  stopGroup,
};
