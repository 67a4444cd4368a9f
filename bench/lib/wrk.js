'use strict';

const { spawnSync } = require('node:child_process');
const path = require('node:path');
const { withDeadline } = require('./deadline.js');
const { describeEnd, firstJsonLine, keepTail } = require('../../tools/output.js');
const { killGroup, startProcess } = require('../../tools/processes.js');
const { UserError } = require('../../tools/user-error.js');

const REPORT = path.join(__dirname, 'wrk-report.lua');
const GRACE_MS = 10_000;

function requireWrk({ seconds }) {
  if (!Number.isInteger(seconds)) {
    throw new UserError(`--seconds must be a whole number for wrk, not ${seconds}.`);
  }
  if (spawnSync('wrk', ['-v']).error?.code === 'ENOENT') {
    throw new UserError('The load generator wrk is missing: apt-get install wrk');
  }
}

function wrkArguments({ port, seconds, threads, connections, headers = {} }) {
  const lines = Object.entries(headers).flatMap(([name, value]) => ['-H', `${name}: ${value}`]);
  const size = [`-d${seconds}s`, `-t${threads}`, `-c${connections}`];
  return [...size, ...lines, '-s', REPORT, `http://127.0.0.1:${port}/`];
}

function endOf(child, stderr) {
  return new Promise((_resolve, reject) => {
    child.once('error', (error) => reject(new UserError(`wrk: ${error.message}`)));
    child.once('close', (code, signal) => {
      reject(new UserError(`wrk gave no result: ${describeEnd(code, signal, stderr())}`));
    });
  });
}

/**
 * Loads `port` by HTTP for `seconds`; resolves to completed requests, requests per second, errors, latency
 * in µs.
 */
async function runWrk(load) {
  const child = startProcess('wrk', wrkArguments(load), { stdio: ['ignore', 'pipe', 'pipe'] });
  const result = Promise.race([firstJsonLine(child.stdout), endOf(child, keepTail(child.stderr))]);
  try {
    const limit = load.seconds * 1000 + GRACE_MS;
    const report = await withDeadline(result, limit, () => `wrk is not done after ${limit} ms`);
    return { ...report, rate: (report.requests * 1e6) / report.duration };
  } finally {
    if (child.exitCode === null && child.pid !== undefined) killGroup(child);
  }
}

module.exports = { requireWrk, runWrk };
