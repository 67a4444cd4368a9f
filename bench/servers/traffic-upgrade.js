'use strict';

// Starts a supervised program of rs-cluster, and upgrades its primary as operators do, or does nothing (`way`). Its
// argument has the number of `workers`, their `servers` (see parts/traffic-worker.js), and the `timeout` of a worker.

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const http = require('node:http');
const os = require('node:os');
const path = require('node:path');
const { setTimeout: pause } = require('node:timers/promises');
const { obey } = require('./parts/obey.js');

const { workers, timeout, way, until, ...rest } = JSON.parse(process.argv[2]);
/** Between two looks whether it is ready, in ms. */
const LOOK = 50;

const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rs-cluster-upgrade-'));
const socketPath = path.join(directory, 'control.sock');
process.on('exit', () => fs.rmSync(directory, { recursive: true, force: true }));

async function ask(method, url) {
  const request = http.request({ socketPath, path: url, method, agent: false }).end();
  const [response] = await once(request, 'response');
  let text = '';
  for await (const part of response.setEncoding('utf8')) text += part;
  return JSON.parse(text);
}

async function isReady() {
  try {
    return (await ask('GET', '/status')).ready;
  } catch {
    return false; // There is no socket yet.
  }
}

async function upgrade() {
  const started = Date.now();
  const { error } = await ask('POST', '/upgrade');
  if (error) throw new Error(error.message);
  return { replaced: workers, ms: Date.now() - started };
}

const WAYS = { upgrade, none: async () => ({ replaced: 0, ms: 0 }) };

async function main() {
  const options = {
    exec: require.resolve('./parts/cluster-worker.js'),
    args: [JSON.stringify(rest)],
    workers,
    drainTimeout: timeout,
    control: socketPath,
  };
  const program = require.resolve('./parts/upgraded-primary.js');
  const args = [program, JSON.stringify(options)];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  child.once('exit', () => process.exit(1));
  while (!(await isReady())) await pause(LOOK);
  const end = () => {
    // It passes the signal on to the one that has replaced it.
    child.removeAllListeners('exit').once('exit', () => process.exit());
    child.kill('SIGQUIT');
  };
  obey(WAYS[way], end)({ listening: workers });
}

main();
