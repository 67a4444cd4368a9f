'use strict';

// Runs one test file once, in its own process group.

const { once } = require('node:events');
const { existsSync, readFileSync } = require('node:fs');
const { keepTail } = require('../../tools/output.js');
const { becomesTrue, membersOf } = require('../../tools/process-group.js');
const { afterTimeLimit } = require('../../tools/time-limit.js');
const { endGroup, killGroup, startGroup } = require('../../tools/processes.js');
const { testEnvironment } = require('./environment.js');
const { makeDirectory, removeDirectory } = require('./workspace.js');

// The same value as in upstream's tools/test.py.
const SKIP = /# SKIP\S*\s+(.*)/i;

// How long the other processes of a test may outlive its first process. They notice its end, but react
// later on a busy machine.
const GONE_WITHIN_MS = 5_000;
const CLOSED_WITHIN_MS = 1_000;

/**
 * @typedef {object} Outcome
 * @property {'passed' | 'failed' | 'skipped'} outcome
 * @property {string} [reason] why it failed, or why it skips itself
 * @property {string} output the end of the output
 * @property {string[]} exits how child processes failed, without duplicates
 */

/**
 * @param {import('./test-files.js').TestFile} file
 * @param {object} how as for `testEnvironment`, and `limit` in milliseconds
 * @returns {Promise<Outcome>}
 */
async function attempt(file, how) {
  const directory = makeDirectory();
  const exitsFile = `${directory}.exits`;
  const child = startGroup(how.node.path, [...file.flags, file.path], {
    cwd: file.tree,
    env: testEnvironment(file, { ...how, directory, exits: exitsFile }),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const stdout = keepTail(child.stdout);
  const stderr = keepTail(child.stderr);
  const end = await endOf(child, how.limit);
  const exits = readExits(exitsFile);
  removeDirectory(directory);
  removeDirectory(exitsFile);

  const output = [stdout(), stderr()].filter(Boolean).join('\n');
  const reasons = complaints(end);
  if (reasons.length > 0) return { outcome: 'failed', reason: reasons.join('; '), output, exits };
  const [, reason] = SKIP.exec(stdout()) ?? [];
  return { outcome: reason === undefined ? 'passed' : 'skipped', reason, output, exits };
}

/** See ../programs/exits.js. */
function readExits(file) {
  const lines = existsSync(file) ? readFileSync(file, 'utf8').trimEnd().split('\n') : [];
  return [...new Set(lines)].sort();
}

async function endOf(child, limit) {
  let late;
  const inTime = afterTimeLimit(limit, () => {
    late = limit;
    killGroup(child);
  });
  let isClosed = false;
  child.once('close', () => {
    isClosed = true;
  });
  const [code, signal] = await once(child, 'exit');
  inTime();
  const gone = () => membersOf(child.pid).length === 0;
  await becomesTrue(gone, Math.min(GONE_WITHIN_MS, limit));
  const left = membersOf(child.pid);
  endGroup(child);
  // The outputs close when the last process that has them ends.
  await becomesTrue(() => isClosed, CLOSED_WITHIN_MS);
  child.stdout.destroy();
  child.stderr.destroy();
  return { late, code, signal, left, isClosed };
}

function complaints({ late, code, signal, left, isClosed }) {
  if (late !== undefined) return [`still ran after ${late / 1000} s`];
  const reasons = [];
  if (code !== 0) reasons.push(signal ?? `exit code ${code}`);
  if (left.length > 0) {
    const commands = left.map(({ pid, command }) => `${pid} ${command.trim()}`);
    const many = left.length === 1 ? '1 process' : `${left.length} processes`;
    reasons.push(`left ${many}: ${commands.join(', ')}`);
  }
  if (!isClosed) reasons.push('left a process outside its process group');
  return reasons;
}

module.exports = { attempt };
