'use strict';

const { once } = require('node:events');
const { existsSync, readFileSync } = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { serial: test } = require('ava');
const { HOST, startApp } = require('../helpers/app');
const { get } = require('../helpers/client');
const { unprivileged } = require('../helpers/privileges');
const { temporaryDirectory } = require('../helpers/temporary');

const { errno } = os.constants;
// An address reserved for documentation, which no machine has.
const FOREIGN_ADDRESS = '203.0.113.1';
const PORT_SETTING = '/proc/sys/net/ipv4/ip_unprivileged_port_start';
const FIRST_UNPRIVILEGED_PORT = existsSync(PORT_SETTING)
  ? Number(readFileSync(PORT_SETTING, 'utf8'))
  : 1024;

/** Listens in this process, which is not a worker. */
async function occupy(options) {
  const server = net.createServer().listen(options);
  await once(server, 'listening');
  return server;
}

/** The properties of an error of `listen()`; with a path, the port is -1. */
const bindError = (code, address, port = -1) => ({
  code,
  errno: -errno[code],
  syscall: 'bind',
  address,
  port,
});

async function failing(t, options, how) {
  const app = await startApp(t, { workers: 1, listen: [] }, how);
  app.tell(1, { do: 'listen', options });
  return { app, error: await app.line({ server: 'error' }) };
}

test('a port that another process has is an error of the server, which can retry', async (t) => {
  const occupant = await occupy({ port: 0, host: HOST });
  const { port } = occupant.address();
  const { app, error } = await failing(t, { port, host: HOST });
  t.like(error, bindError('EADDRINUSE', HOST, port));
  t.is(error.message, `bind EADDRINUSE ${HOST}:${port}`);

  // Another worker gets the same error when it tries.
  app.send({ do: 'fork' });
  await app.line({ on: 'cluster', event: 'online', id: 2 });
  app.tell(2, { do: 'listen', options: { port, host: HOST } });
  t.like(await app.line({ server: 'error', id: 2 }), bindError('EADDRINUSE', HOST, port));

  occupant.close();
  await once(occupant, 'close');
  for (const id of [1, 2]) {
    app.tell(id, { do: 'relisten', index: 0, options: { port, host: HOST } });
    await app.line({ server: 'listening', id });
  }
  t.true([1, 2].includes((await get({ port, host: HOST })).id));
  await app.end();
});

test('a Unix socket that another process has is an error', async (t) => {
  const socket = path.join(temporaryDirectory(t), 'socket');
  const occupant = await occupy({ path: socket });
  const { app, error } = await failing(t, { path: socket });
  t.like(error, bindError('EADDRINUSE', socket));
  occupant.close();
  await app.end();
});

test('an address that this machine does not have is an error', async (t) => {
  const { app, error } = await failing(t, { port: 0, host: FOREIGN_ADDRESS });
  t.like(error, bindError('EADDRNOTAVAIL', FOREIGN_ADDRESS, 'undefined'));
  await app.end();
});

if (unprivileged && FIRST_UNPRIVILEGED_PORT > 1) {
  test('a port for which the process has no permission is an error', async (t) => {
    const options = { port: 1, host: HOST };
    const { app, error } = await failing(t, options, { spawn: unprivileged });
    t.like(error, bindError('EACCES', HOST, 1));
    await app.end();
  });
}

test('a path in a directory that does not exist is an error', async (t) => {
  const socket = path.join(temporaryDirectory(t), 'missing', 'socket');
  const { app, error } = await failing(t, { path: socket });
  t.like(error, bindError('EACCES', socket)); // libuv reports this where the kernel reports ENOENT.
  await app.end();
});

test('the address of another server of the same worker is an error', async (t) => {
  const app = await startApp(t, { workers: 2 });
  const { port } = app.target;
  app.tell(1, { do: 'listen', options: app.target });
  t.like(await app.line({ server: 'error' }), { id: 1, ...bindError('EADDRINUSE', HOST, port) });
  t.truthy((await get(app.target)).id);
  await app.end();
});

test('the address shared by the workers is an error for an exclusive server', async (t) => {
  const app = await startApp(t, { workers: 1 });
  const { port } = app.target;
  app.tell(1, { do: 'listen', options: { ...app.target, exclusive: true } });
  t.like(await app.line({ server: 'error' }), {
    ...bindError('EADDRINUSE', HOST, port),
    syscall: 'listen',
  });
  await app.end();
});

test('an unhandled error ends the worker, and the primary goes on', async (t) => {
  const occupant = await occupy({ port: 0, host: HOST });
  const { port } = occupant.address();
  const app = await startApp(t, { workers: 1, listen: [] });
  app.tell(1, { do: 'listen', unhandled: true, options: { port, host: HOST } });
  t.deepEqual((await app.line({ on: 'cluster', event: 'exit' })).args, [1, null]);
  occupant.close();
  const { stderr } = await app.end();
  t.regex(stderr, /Error: bind EADDRINUSE/);
});
