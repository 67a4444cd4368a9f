'use strict';

// Programs of all kinds, supervised.

const { existsSync } = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { serial: test } = require('ava');
const { get, text } = require('../helpers/client');
const { isBuiltin } = require('../helpers/implementation');
const { serves } = require('../helpers/programs');
const { HOST, startSupervised } = require('../helpers/supervised');
const { temporaryDirectory } = require('../helpers/temporary');
const { HAS_PROC } = require('../../tools/process-group');

const IDLE_MS = 3_000;
// The engine looks at the workers' event loops four times a second.
const MOST_WAITS_A_SECOND = 10;

/** Listens on a port that the system chooses, and tells it. */
const ANY_PORT = `
const server = require('node:http').createServer((request, response) => response.end('"' + process.pid + '"'));
server.listen(0, '127.0.0.1', () => process.send(server.address().port));
`;
/** Listens on the path of a socket. */
const atPath = (version) => `
require('node:http')
  .createServer((request, response) => response.end('"${version}"'))
  .listen(process.argv[2]);
`;

// The built-in module does not supervise.
if (!isBuiltin) {
  test('a program keeps the port that the system has chosen through reloads', async (t) => {
    const app = await startSupervised(t, { program: ANY_PORT });
    const { message: port } = await app.line({ from: 1 });
    const pid = await get({ port, host: HOST });
    await app.perform('reload');
    t.not(await get({ port, host: HOST }), pid);
    t.is((await app.line({ from: 3 })).message, port);
    await app.end();
  });

  test('a program keeps the path of its socket through reloads', async (t) => {
    const socketPath = path.join(temporaryDirectory(t), 'socket');
    const options = { args: [socketPath] };
    const app = await startSupervised(t, { program: atPath('one'), options });
    t.is(await get({ socketPath }), 'one');
    app.deploy(atPath('two'));
    await app.perform('reload');
    t.is(await get({ socketPath }), 'two');
    await app.end();
    t.false(existsSync(socketPath));
  });

  test('UDP servers count as addresses', async (t) => {
    const program = serves('one', {
      before: "require('node:dgram').createSocket('udp4').bind(process.argv[2], '127.0.0.1');",
    });
    const app = await startSupervised(t, { program, options: { readyTimeout: 3_000 } });
    app.deploy(serves('two'));
    t.is((await t.throwsAsync(app.perform('reload'))).phase, 'ready');
    app.deploy(program);
    await app.perform('reload');
    await app.end();
  });

  test('a worker that ends by itself with code 0 is replaced, with back-off', async (t) => {
    const exits = "process.on('message', () => process.exit());";
    const app = await startSupervised(t, { program: serves('one', { before: exits }) });
    await app.perform('tell', 1, 'exit');
    t.like(await app.line({ on: 'supervisor', event: 'backoff' }), { failures: 1 });
    await app.line({ on: 'supervisor', event: 'replace', reason: 'crash' });
    await app.untilSettled();
    await app.end();
  });

  test('a worker that disconnects by itself is replaced', async (t) => {
    const leaves = "process.on('message', () => require(process.env.CLUSTER).worker.disconnect());";
    const app = await startSupervised(t, { program: serves('one', { before: leaves }) });
    await app.perform('tell', 2, 'leave');
    const { slot, from } = await app.line({ on: 'supervisor', event: 'replace', to: 3 });
    t.deepEqual([slot, from], [1, 2]);
    await app.untilSettled();
    await app.end();
  });

  test('workers have the serialization, arguments and output that are asked for', async (t) => {
    const before = `
process.stdout.write('to a pipe');
process.send({ none: undefined, execArgv: process.execArgv });`;
    const app = await startSupervised(t, {
      program: serves('one', { before }),
      options: {
        serialization: 'advanced',
        silent: true,
        execArgv: ['--no-deprecation'],
        workers: 1,
      },
    });
    t.false(app.stdout.includes('to a pipe'));
    const { message } = await app.line({ from: 1 });
    t.deepEqual(message, { none: 'undefined', execArgv: ['--no-deprecation'] });
    await app.end();
  });

  test('raw connections of a worker that is replaced end within drainTimeout', async (t) => {
    const program = `
require('node:net').createServer((socket) => socket.write(process.pid + ' ')).listen(process.argv[2], '127.0.0.1');
`;
    const app = await startSupervised(t, { program, options: { workers: 1, drainTimeout: 600 } });
    const socket = net.connect(app.target);
    const received = text(socket);
    await app.status();
    await app.perform('reload');
    // The last third of the time ends it.
    t.regex(await received, /^\d+ $/);
    await app.end();
  });

  if (HAS_PROC) {
    test('an idle supervisor hardly ever wakes up', async (t) => {
      const app = await startSupervised(t, { options: { workers: 4, maxMemory: 0 } });
      const waits = await app.perform('countWaits', IDLE_MS);
      t.true(waits / (IDLE_MS / 1_000) <= MOST_WAITS_A_SECOND, `${waits}`);
      await app.end();
    });
  }
}
