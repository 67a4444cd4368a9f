'use strict';

// PM2, whose package is at $PM2, and its `update`, which replaces its daemon by one of the version that is installed.
// Its argument has the number of `workers`, their `servers` (see parts/traffic-worker.js), and the `timeout` of a worker.

const { execFile } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { setTimeout: pause } = require('node:timers/promises');
const { promisify } = require('node:util');
const { obey } = require('./parts/obey.js');

const { workers, timeout, way, until, ...settings } = JSON.parse(process.argv[2]);
const COMMAND = path.join(process.env.PM2, 'bin', 'pm2');
/** Between two looks whether it listens, in ms. */
const LOOK = 20;

// PM2 keeps its sockets and logs there.
const home = fs.mkdtempSync(path.join(os.tmpdir(), 'pm2-'));
const env = { ...process.env, PM2_HOME: home, TRAFFIC: JSON.stringify(settings) };

const pm2 = (...args) => promisify(execFile)(process.execPath, [COMMAND, ...args], { env });

async function listens({ listen }) {
  const socket = net.connect(listen);
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

async function untilListening() {
  for (const server of settings.servers) while (!(await listens(server))) await pause(LOOK);
}

async function update() {
  const started = Date.now();
  await pm2('update');
  await untilListening();
  return { replaced: workers, ms: Date.now() - started };
}

async function main() {
  const limits = ['--listen-timeout', `${timeout}`, '--kill-timeout', `${timeout}`];
  const worker = require.resolve('./parts/pm2-worker.js');
  await pm2('start', worker, '--name', 'traffic', '-i', `${workers}`, '--wait-ready', ...limits);
  await untilListening();
  // Its daemon is in a session of its own.
  const end = async () => {
    await pm2('kill').catch(() => {});
    fs.rmSync(home, { recursive: true, force: true });
    process.exit();
  };
  obey(update, end)({ listening: workers });
}

main();
