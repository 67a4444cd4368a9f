'use strict';

// Servers of every kind whose workers are replaced on request: programs of bench/servers.

const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { once } = require('node:events');
const { withDeadline } = require('./deadline.js');
const { describeEnd, firstJsonLine, keepTail } = require('../../tools/output.js');
const { killGroup, startProcess } = require('../../tools/processes.js');
const { UserError } = require('../../tools/user-error.js');

const SERVERS = path.join(__dirname, '..', 'servers');
const KINDS = ['http', 'https', 'h2c', 'h2'];
const HOST = '127.0.0.1';
const START_LIMIT_MS = 30_000;
/** How long it may take to end what it has started. */
const END_LIMIT_MS = 10_000;

async function freePort() {
  const server = net.createServer().listen(0, HOST);
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** What the workers listen on, and the addresses of it for the load generator. */
async function chooseAddresses(directory) {
  const at = { unix: path.join(directory, 'socket') };
  const servers = [{ kind: 'http', listen: { path: at.unix } }];
  for (const kind of KINDS) {
    const port = await freePort();
    at[kind] = `${HOST}:${port}`;
    servers.push({ kind, listen: { host: HOST, port } });
  }
  return { at, servers };
}

/**
 * Starts an opponent. In the result, `at` has the addresses; `replace()` replaces all workers, and resolves
 * when the old ones have exited, or, where `until` is 'listening', when the new ones serve; `log` is the file for the workers' ids; `ended` rejects if the process ends.
 *
 * @param {{ workers: number, timeout: number }} settings how many there are, and how long one may take to leave
 */
async function startTrafficServer({ name, program, way, until, env }, { node, workers, timeout }) {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rs-cluster-bench-'));
  const { at, servers } = await chooseAddresses(directory);
  const log = path.join(directory, 'ids');
  const settings = { workers, timeout, way, until, servers, log };
  const { NODE_CLUSTER_SCHED_POLICY, ...environment } = process.env;
  const child = startProcess(node, [path.join(SERVERS, program), JSON.stringify(settings)], {
    env: { ...environment, ...env },
    stdio: 'pipe',
  });
  const stderr = keepTail(child.stderr);
  child.stdin.on('error', () => {}); // `ended` says more about the end of the process
  const closed = once(child, 'close');
  const ended = closed.then(([code, signal]) => {
    throw new UserError(`${name} ended on its own: ${describeEnd(code, signal, stderr())}`);
  });
  ended.catch(() => {}); // handled by the callers that race against it, if any
  const answer = (limit) =>
    withDeadline(
      Promise.race([firstJsonLine(child.stdout), ended]),
      limit,
      () => `${name} does not answer after ${limit} ms; its stderr: ${stderr() || '-'}`,
    );
  const replace = () => {
    const replaced = answer(START_LIMIT_MS + 2 * workers * timeout);
    child.stdin.write('{}\n');
    return replaced;
  };
  const stop = async () => {
    // What it has started may be in a session of its own.
    child.stdin.end();
    const timer = setTimeout(killGroup, END_LIMIT_MS, child);
    await closed;
    clearTimeout(timer);
    fs.rmSync(directory, { recursive: true, force: true });
  };
  try {
    await answer(START_LIMIT_MS);
  } catch (error) {
    await stop();
    throw error;
  }
  return { at, log, replace, ended, stop };
}

module.exports = { startTrafficServer };
