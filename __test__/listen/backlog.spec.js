'use strict';

const { spawnSync } = require('node:child_process');
const { once } = require('node:events');
const { readFileSync } = require('node:fs');
const net = require('node:net');
const { serial: test } = require('ava');
const { HOST, startApp } = require('../helpers/app');
const { HAS_PROC, signalGroup, stopGroup } = require('../../tools/process-group');

const LATER_CONNECTIONS = 5;

/**
 * Whether the kernel accepts this connection. On one machine it decides that during the call, so an accepted
 * socket is connected before sockets that connect to another server later, one after the other.
 */
async function isConnected(socket, otherServer) {
  const { port } = otherServer.address();
  for (let i = 0; i < LATER_CONNECTIONS && socket.connecting; i += 1) {
    await once(net.connect({ host: HOST, port }), 'connect');
  }
  return !socket.connecting;
}

/** How many of `tries` connections the kernel accepts while all processes of the app are stopped. */
async function countConnections(app, tries) {
  const otherServer = net.createServer((socket) => socket.destroy()).listen(0, HOST);
  await once(otherServer, 'listening');
  const sockets = [];
  await stopGroup(app.pid);
  try {
    for (let i = 0; i < tries; i += 1) {
      const socket = net.connect(app.target).on('error', () => {});
      sockets.push(socket);
      if (!(await isConnected(socket, otherServer))) break;
    }
    return sockets.filter(({ connecting }) => !connecting).length;
  } finally {
    for (const socket of sockets) socket.destroy();
    otherServer.close();
    signalGroup(app.pid, 'SIGCONT');
  }
}

// /proc shows whether all processes have stopped.
if (HAS_PROC) {
  const DEFAULT = 511;
  const LARGEST = Number(readFileSync('/proc/sys/net/core/somaxconn', 'utf8'));

  for (const policy of ['rr', 'none']) {
    for (const backlog of [1, 7, undefined]) {
      test(`under ${policy}, the kernel uses the backlog ${backlog ?? 'by default'}`, async (t) => {
        const env = { NODE_CLUSTER_SCHED_POLICY: policy };
        const listen = { port: 0, host: HOST, backlog };
        const app = await startApp(t, { workers: 2, listen }, { env });
        // Linux accepts one connection more than the backlog says.
        const expected = Math.min(backlog ?? DEFAULT, LARGEST) + 1;
        t.is(await countConnections(app, expected + 5), expected);
        await app.end();
      });
    }
  }

  test('a negative backlog stands for the largest one', async (t) => {
    const app = await startApp(t, { listen: { port: 0, host: HOST, backlog: -1 } });
    const enough = Math.min(DEFAULT + 10, LARGEST);
    t.is(await countConnections(app, enough), enough);
    await app.end();
  });
}

/** The Send-Q of a listening socket: how many connections the kernel holds for it. */
function queueOf(port) {
  const { stdout } = spawnSync('ss', ['-Hltn', `sport = :${port}`], { encoding: 'utf8' });
  return Number(stdout.trim().split(/\s+/)[2]);
}

if (spawnSync('ss', ['-V']).status === 0) {
  for (const [policy, way] of Object.entries({
    rr: 'the primary accepts',
    none: 'all workers accept',
  })) {
    for (const [name, listen, expected] of [
      ["the server's backlog", { backlog: 127 }, 127],
      ["Node's default backlog", {}, 511],
    ]) {
      test(`the kernel's queue is as long as ${name} where ${way}`, async (t) => {
        const address = { port: 0, host: '127.0.0.1', ...listen };
        const env = { NODE_CLUSTER_SCHED_POLICY: policy };
        const app = await startApp(t, { workers: 2, listen: address }, { env });
        t.is(queueOf(app.target.port), expected);
        await app.end();
      });
    }
  }
}
