'use strict';

// The opponents: programs of bench/servers, each started afresh for every round.

const path = require('node:path');
const { withDeadline } = require('./deadline.js');
const { describeEnd, firstJsonLine, keepTail } = require('../../tools/output.js');
const { killGroup, startProcess } = require('../../tools/processes.js');
const { UserError } = require('../../tools/user-error.js');

const SERVERS = path.join(__dirname, '..', 'servers');
const ANSWER_LIMIT_MS = 15_000;
/** Hundreds of workers start one after the other. */
const START_LIMIT_MS_A_WORKER = 500;
const STOP_LIMIT_MS = 3_000;

// A policy in the shell's environment would turn one opponent into another.
function serverEnvironment(implementation) {
  const { NODE_CLUSTER_SCHED_POLICY, ...environment } = process.env;
  return implementation ? { ...environment, RS_CLUSTER: implementation } : environment;
}

// Rejects when the process ends. It waits for 'close', not 'exit', because by then stderr is complete.
function endOf(child, name, stderr) {
  const ended = new Promise((_resolve, reject) => {
    child.once('error', (error) => reject(new UserError(`${name}: ${error.message}`)));
    child.once('close', (code, signal) => {
      reject(new UserError(`${name} ended on its own: ${describeEnd(code, signal, stderr())}`));
    });
  });
  ended.catch(() => {}); // handled by the callers that race against it, if any
  return ended;
}

async function stopServer(child, ended, isBlocked) {
  if (isBlocked) killGroup(child);
  else child.kill('SIGTERM');
  const timer = setTimeout(() => killGroup(child), STOP_LIMIT_MS);
  await ended.catch(() => {});
  clearTimeout(timer);
}

/**
 * Starts a server program and waits until all its workers listen.
 *
 * `settings` are the number of `workers`, the `protocol`, and what troubles the workers (see
 * parts/worker.js). The result has all that the program prints when it listens. `primary` and `workers` are
 * process ids; `ended` rejects if the server ends before `stop()`; `block(ms)` blocks the primary's JavaScript
 * for that long, and resolves when the block begins; `ask(request)` resolves to the answer of a program that
 * takes requests.
 */
async function startServer({ name, program, node, implementation }, settings) {
  const child = startProcess(node, [path.join(SERVERS, program), JSON.stringify(settings)], {
    env: serverEnvironment(implementation),
    stdio: 'pipe',
  });
  const stderr = keepTail(child.stderr);
  const ended = endOf(child, name, stderr);
  const answer = (fault, limit = ANSWER_LIMIT_MS) =>
    withDeadline(
      Promise.race([firstJsonLine(child.stdout), ended]),
      limit,
      () => `${name} ${fault} after ${limit} ms; its stderr: ${stderr() || '-'}`,
    );
  child.stdin.on('error', () => {}); // `ended` says more about the end of the process
  let isBlocked = false;
  const ask = (request, fault = 'does not answer') => {
    child.stdin.write(`${JSON.stringify(request)}\n`);
    return answer(fault);
  };
  const block = async (blockMs) => {
    await ask({ blockMs }, 'does not block');
    isBlocked = true;
  };
  try {
    const startLimit = ANSWER_LIMIT_MS + settings.workers * START_LIMIT_MS_A_WORKER;
    const facts = await answer('does not listen', startLimit);
    const stop = () => stopServer(child, ended, isBlocked);
    return { ...facts, name, primary: child.pid, ended, ask, block, stop };
  } catch (error) {
    if (child.pid !== undefined) killGroup(child);
    throw error;
  }
}

module.exports = { startServer };
