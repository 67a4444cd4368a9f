'use strict';

// Clients of an admin endpoint, in a process of their own.

const { once } = require('node:events');
const http = require('node:http');
const path = require('node:path');
const { withDeadline } = require('./deadline.js');
const { describeEnd, firstJsonLine, keepTail } = require('../../tools/output.js');
const { killGroup, startProcess } = require('../../tools/processes.js');

const PROGRAM = path.join(__dirname, '..', 'programs', 'operators.js');
const LIMIT_MS = 10_000;

/**
 * Starts clients of a `kind` that the program has. `stop()` resolves to what they have done.
 *
 * @param {string} kind
 * @param {string} admin the address, such as '127.0.0.1:9100'
 */
async function startOperators(kind, admin) {
  const { port } = new URL(`http://${admin}`);
  const child = startProcess(process.execPath, [PROGRAM, kind, port], { stdio: 'pipe' });
  const stderr = keepTail(child.stderr);
  const line = () =>
    withDeadline(
      firstJsonLine(child.stdout),
      LIMIT_MS,
      () =>
        `the clients of kind ${kind}: ${describeEnd(child.exitCode, child.signalCode, stderr())}`,
    );
  child.stdin.on('error', () => {}); // the missing line says more
  await line();
  return {
    async stop() {
      const counts = line();
      child.stdin.end();
      return counts;
    },
    kill() {
      if (child.exitCode === null && child.signalCode === null) killGroup(child);
    },
  };
}

/** How long the answer to one request takes, on a connection of its own, in ms; null without an answer. */
async function timeOf(admin, url) {
  const { hostname: host, port } = new URL(`http://${admin}`);
  const begun = performance.now();
  try {
    const request = http.get({ host, port, path: url, agent: false });
    const [response] = await once(request, 'response');
    await once(response.resume(), 'end');
    return response.statusCode === 200 ? performance.now() - begun : null;
  } catch {
    return null;
  }
}

module.exports = { startOperators, timeOf };
