'use strict';

// How a worker that drains ends the connections that are its program's own.

const { once } = require('node:events');
const net = require('node:net');
const tls = require('node:tls');
const test = require('ava');
const { startDrainApp } = require('../helpers/drain-app.js');
const { connect } = require('../helpers/http-client.js');

const TIMEOUT = 9000;
// When the last third of the time begins, as clients see it: they do not learn when it was that the order came.
const LAST_THIRD = 5900;
// Few enough that the worker ends one at a time, every 100 ms.
const COUNT = 12;
const TLS_ALERT = 21;

const UPGRADE = { Upgrade: 'echo', Connection: 'Upgrade' };

const OPEN = {
  net: { kind: 'net', open: (client) => client.write('hello').text('hello') },
  tls: { kind: 'tls', secure: true, open: (client) => client.write('hello').text('hello') },
  'upgraded http': {
    kind: 'http',
    open: (client) => client.send('/', UPGRADE).write('hello').text('hello'),
  },
  'upgraded https': {
    kind: 'https',
    secure: true,
    open: (client) => client.send('/', UPGRADE).write('hello').text('hello'),
  },
};

for (const [what, { kind, secure, open }] of Object.entries(OPEN)) {
  test(`sockets are told, and end one after the other in the last third of the time: ${what}`, async (t) => {
    const app = await startDrainApp(t, { kind });
    const clients = [];
    for (let i = 0; i < COUNT; i += 1) clients.push(await connect(app.target, { secure }));
    await Promise.all(clients.map(open));
    const start = Date.now();
    await app.drain(1, { timeout: TIMEOUT });
    const times = await Promise.all(
      clients.map(async (client) => {
        await client.end();
        return Date.now() - start;
      }),
    );
    t.deepEqual(
      clients.map(({ error }) => error),
      Array(COUNT).fill(undefined),
    );
    times.sort((a, b) => a - b);
    t.true(times[0] > LAST_THIRD, `${times}`);
    t.true(times.at(-1) - times[0] > 600, `${times}`);
    t.is(await app.drained(1), 0);
    await app.end();
  });

  test(`sockets are counted as cut if they are open when the time is over: ${what}`, async (t) => {
    const app = await startDrainApp(t, { kind });
    const client = await connect(app.target, { secure, halfOpen: true });
    await open(client);
    await app.drain(1, { timeout: 2000 });
    t.is(await app.drained(1), 1);
    client.destroy();
    await app.end();
  });
}

test('a TLS connection ends as TLS wants it', async (t) => {
  const app = await startDrainApp(t, { kind: 'tls' });
  // Records can be told apart by their first byte on the way.
  let last;
  const proxy = net.createServer({ allowHalfOpen: true }, (socket) => {
    const server = net.connect(app.target);
    socket.pipe(server).on('data', (data) => {
      last = data;
    });
    server.pipe(socket);
  });
  proxy.listen(0, app.target.host);
  await once(proxy, 'listening');
  const client = tls.connect({
    ...app.target,
    port: proxy.address().port,
    maxVersion: 'TLSv1.2',
    rejectUnauthorized: false,
  });
  client.write('hello');
  await once(client, 'data');
  await app.drain(1, { timeout: 3000 });
  client.resume();
  await once(client, 'close');
  proxy.close();
  t.is(await app.drained(1), 0);
  t.is(last[0], TLS_ALERT);
  await app.end();
});

test('what a program ends unanswered after the time is over is counted as cut', async (t) => {
  const app = await startDrainApp(t, { kind: 'http', endsBySignal: true });
  const client = await connect(app.target);
  client.send('/hold');
  await app.line({ holds: 1 });
  await app.drain(1, { timeout: 2000 });
  await client.end();
  t.is(await app.drained(1), 1);
  await app.end();
});

test('the program may end its sockets when it is told', async (t) => {
  const app = await startDrainApp(t, { kind: 'net', onDraining: 'end' });
  const client = await connect(app.target);
  await client.write('hello').text('hello');
  await app.drain(1);
  await client.text('bye');
  await client.end();
  t.is(await app.drained(1), 0);
  await app.end();
});
