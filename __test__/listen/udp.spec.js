'use strict';

const dgram = require('node:dgram');
const { once } = require('node:events');
const os = require('node:os');
const { serial: test } = require('ava');
const { HOST, startApp } = require('../helpers/app');
const { askDatagrams } = require('../helpers/client');

const any = { port: 0, address: HOST };
const numbers = Array.from({ length: 20 }, (_, index) => `${index}`);

const start = (t, listen = any, options = {}) =>
  startApp(t, { workers: 2, kind: 'udp4', listen, ...options });

const portsOf = async (app, index) =>
  (await app.linesLike({ server: 'listening', index }, 2)).map(({ at }) => at.port);

for (const [kind, address, family] of [
  ['udp4', HOST, 'IPv4'],
  ['udp6', '::1', 'IPv6'],
]) {
  test(`one worker receives each datagram to a shared ${kind} port, and answers from there`, async (t) => {
    const app = await start(t, { port: 0, address }, { kind });
    const { port } = app.target;
    const answers = await askDatagrams(app.target, numbers);
    t.deepEqual(
      answers.map(({ heard, from }) => [heard, from]),
      numbers.map((number) => [number, port]),
    );
    t.true(answers.every(({ id }) => id === 1 || id === 2));

    const listening = await app.linesLike({ on: 'cluster', event: 'listening' }, 2);
    for (const { args } of listening) {
      t.deepEqual(args, [{ addressType: kind, address, port, fd: -1 }]);
    }
    const bound = await app.linesLike({ server: 'listening' }, 2);
    t.deepEqual(
      bound.map(({ at }) => at),
      Array(2).fill({ address, family, port }),
    );
    await app.end();
  });
}

test('workers answer datagrams while the primary is stopped', async (t) => {
  const app = await start(t);
  app.signal('SIGSTOP');
  t.is((await askDatagrams(app.target, numbers)).length, numbers.length);
  app.signal('SIGCONT');
  await app.end();
});

test('without a port, workers share a random one', async (t) => {
  const app = await start(t, {});
  const [first, second] = await portsOf(app, 0);
  t.true(first > 0);
  t.is(first, second);
  await app.end();
});

test('the second port 0 of a worker is another port, again the same in all workers', async (t) => {
  const app = await start(t, [any, any]);
  const [first, same] = await portsOf(app, 0);
  const [second, alike] = await portsOf(app, 1);
  t.deepEqual([first, second], [same, alike]);
  t.not(first, second);
  for (const port of [first, second]) {
    t.is((await askDatagrams({ host: HOST, port }, ['?']))[0].from, port);
  }
  await app.end();
});

test('an exclusive socket is bound only in its worker', async (t) => {
  const app = await start(t);
  for (const id of [1, 2]) app.tell(id, { do: 'listen', options: { ...any, exclusive: true } });
  const lines = await app.linesLike({ server: 'listening', index: 1 }, 2);
  t.not(lines[0].at.port, lines[1].at.port);
  for (const { id, at } of lines) {
    t.is((await askDatagrams({ host: HOST, port: at.port }, ['?']))[0].id, id);
    // Disconnecting closes only shared sockets, so this one has to close itself.
    app.tell(id, { do: 'close', index: 1 });
  }
  await app.end();
});

test('a worker that closes its socket leaves the port to other workers', async (t) => {
  const app = await start(t);
  app.tell(1, { do: 'close', index: 0 });
  await app.line({ server: 'closed', id: 1 });
  const answers = await askDatagrams(app.target, numbers);
  t.deepEqual(new Set(answers.map(({ id }) => id)), new Set([2]));
  await app.end();
});

test('the port is free when the last worker is gone', async (t) => {
  const app = await start(t);
  const { port } = app.target;
  await app.end();
  const socket = dgram.createSocket('udp4').bind(port, HOST);
  await once(socket, 'listening');
  t.is(socket.address().port, port);
  socket.close();
});

const inUse = (port) => ({
  code: 'EADDRINUSE',
  errno: -os.constants.errno.EADDRINUSE,
  syscall: 'bind',
  address: HOST,
  port,
});

test('a port that another process has is an error of the socket', async (t) => {
  const occupant = dgram.createSocket('udp4').bind(0, HOST);
  await once(occupant, 'listening');
  const { port } = occupant.address();
  const app = await start(t, []);
  for (const id of [1, 2]) {
    app.tell(id, { do: 'listen', options: { port, address: HOST } });
    t.like(await app.line({ server: 'error', id }), inUse(port));
  }
  occupant.close();
  await app.end();
});

test('two sockets of one worker share a port only with reuseAddr', async (t) => {
  const reused = { ...any, reuseAddr: true };
  const app = await start(t, reused, { workers: 1 });
  const { port } = app.target;
  app.tell(1, { do: 'listen', options: { ...reused, port } });
  t.is((await app.line({ server: 'listening', index: 1 })).at.port, port);
  app.tell(1, { do: 'listen', options: { ...any, port } });
  t.like(await app.line({ server: 'error', index: 2 }), inUse(port));
  await app.end();
});

test('ipv6Only leaves the port of all IPv4 addresses to others', async (t) => {
  const app = await start(t, { port: 0, ipv6Only: true }, { kind: 'udp6' });
  const { port } = app.target;
  const other = dgram.createSocket('udp4').bind(port);
  await once(other, 'listening');
  t.is(other.address().port, port);
  other.close();
  await app.end();
});
