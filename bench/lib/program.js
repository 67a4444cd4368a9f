'use strict';

// Measurements that programs of bench/programs make themselves.

const path = require('node:path');
const { withDeadline } = require('./deadline.js');
const { describeEnd, firstJsonLine, keepTail } = require('../../tools/output.js');
const { killGroup, startProcess } = require('../../tools/processes.js');
const { UserError } = require('../../tools/user-error.js');

const PROGRAMS = path.join(__dirname, '..', 'programs');

// Waits for 'close', not 'exit', because by then the program's children, which share its stdout and stderr,
// are gone, and do not disturb the next measurement.
function successOf(child, name, stderr) {
  return new Promise((resolve, reject) => {
    child.once('error', (error) => reject(new UserError(`${name}: ${error.message}`)));
    child.once('close', (code, signal) => {
      if (code === 0) resolve();
      else reject(new UserError(`${name}: ${describeEnd(code, signal, stderr())}`));
    });
  });
}

/** Runs a program to its end; resolves to the JSON line that it printed. */
async function runProgram({ name, node, program, args, limitMs }) {
  const child = startProcess(node, [path.join(PROGRAMS, program), ...args], { stdio: 'pipe' });
  const stderr = keepTail(child.stderr);
  const done = Promise.all([firstJsonLine(child.stdout), successOf(child, name, stderr)]);
  try {
    const [result] = await withDeadline(
      done,
      limitMs,
      () => `${name} gave no result in ${limitMs} ms; its stderr: ${stderr() || '-'}`,
    );
    return result;
  } finally {
    done.catch(() => {}); // the end of a child that is killed here does not matter
    if (child.exitCode === null && child.pid !== undefined) killGroup(child);
  }
}

module.exports = { runProgram };
