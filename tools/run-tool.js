'use strict';

const path = require('node:path');
const { describeEnd, keepTail } = require('./output.js');
const { killGroup, startProcess } = require('./processes.js');
const { afterTimeLimit } = require('./time-limit.js');
const { UserError } = require('./user-error.js');

/**
 * Runs a program to its end; resolves to its output. Rejects with a UserError if it can't be started, or fails.
 *
 * @param {object} [options] of `spawn`, and
 * @param {string} [options.missing] what to do if the program is missing
 * @param {number} [options.limit] in milliseconds of an idle machine
 */
function runTool(command, args, { missing, limit, ...options } = {}) {
  const child = startProcess(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
  const stdout = keepTail(child.stdout, Infinity);
  const stderr = keepTail(child.stderr);
  const inTime = limit === undefined ? () => {} : afterTimeLimit(limit, () => killGroup(child));
  const call = [path.basename(command), ...args].join(' ');
  return new Promise((resolve, reject) => {
    const fail = (reason) => reject(new UserError(reason));
    child.once('error', ({ code, message }) => {
      fail(code === 'ENOENT' && missing ? missing : `${call}: ${message}`);
    });
    child.once('close', (code, signal) => {
      inTime();
      if (code === 0) resolve(stdout());
      else fail(`${call}: ${describeEnd(code, signal, stderr())}`);
    });
  });
}

module.exports = { runTool };
