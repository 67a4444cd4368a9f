'use strict';

// The opponents: programs of bench/servers, each started afresh for every round.

const path = require('node:path');
const { withDeadline } = require('./deadline.js');
const { describeEnd, firstJsonLine, keepTail } = require('../../tools/output.js');
const { killGroup, startProcess } = require('../../tools/processes.js');
const { UserError } = require('../../tools/user-error.js');

const SERVERS = path.join(__dirname, '..', 'servers');
const START_LIMIT_MS = 15_000;
const STOP_LIMIT_MS = 3_000;

// A policy set for the whole shell would turn one opponent into another.
function serverEnvironment() {
  const { NODE_CLUSTER_SCHED_POLICY, ...environment } = process.env;
  return environment;
}

// Rejects when the process ends. 'close' rather than 'exit': by then stderr is complete.
function endOf(child, name, stderr) {
  const ended = new Promise((_resolve, reject) => {
    child.once('error', (error) => reject(new UserError(`${name}: ${error.message}`)));
    child.once('close', (code, signal) => {
      reject(new UserError(`${name} ended on its own: ${describeEnd(code, signal, stderr())}`));
    });
  });
  ended.catch(() => {}); // handled by whoever races against it, if anybody does
  return ended;
}

async function stopServer(child, ended) {
  child.kill('SIGTERM');
  const timer = setTimeout(() => killGroup(child), STOP_LIMIT_MS);
  await ended.catch(() => {});
  clearTimeout(timer);
}

/**
 * Starts a server program and waits until all its workers listen.
 *
 * `primary` and `workers` are process ids; `ended` rejects if the server ends before `stop()`.
 */
async function startServer({ name, program, node, workers }) {
  const child = startProcess(node, [path.join(SERVERS, program), String(workers)], {
    env: serverEnvironment(),
    stdio: 'pipe',
  });
  const stderr = keepTail(child.stderr);
  const ended = endOf(child, name, stderr);
  try {
    const ready = await withDeadline(
      Promise.race([firstJsonLine(child.stdout), ended]),
      START_LIMIT_MS,
      () => `${name} does not listen after ${START_LIMIT_MS} ms; its stderr: ${stderr() || '-'}`,
    );
    const url = `http://127.0.0.1:${ready.port}/`;
    const stop = () => stopServer(child, ended);
    return { name, url, primary: child.pid, workers: ready.workers, ended, stop };
  } catch (error) {
    if (child.pid !== undefined) killGroup(child);
    throw error;
  }
}

module.exports = { startServer };
