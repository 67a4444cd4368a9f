'use strict';

// Which idle HTTP/1 connections a worker gives away as it drains, and which it keeps.

const test = require('ava');
const { startDrainApp } = require('../helpers/drain-app.js');
const { connect } = require('../helpers/http-client.js');
const { temporaryDirectory } = require('../helpers/temporary.js');

// More than the kernel keeps for a client that does not read.
const BIG = 16 * 1024 * 1024;
const KEPT = 4000;
const HALF = 'GET / HTTP/1.1\r\nHo';

/** Starts a worker with one connection, then another worker that could take it. */
async function startWithClient(t, options, prepare = async () => {}) {
  const app = await startDrainApp(t, { kind: 'http', ...options });
  const client = await connect(app.target, { halfOpen: true });
  await prepare(client, app);
  await app.addWorker();
  return { app, client };
}

async function end(app, client) {
  client.destroy();
  await app.end();
}

test('an idle connection moves, and another worker answers its next request', async (t) => {
  const { app, client } = await startWithClient(t, {}, (client) => client.ask('/'));
  await app.drain(1);
  t.is(await app.drained(1), 0);
  t.is(await app.moved(), 1);
  const { connection, json } = await client.ask('/');
  t.deepEqual(json, { id: 2 });
  t.not(connection, 'close');
  await end(app, client);
});

test('a connection that a worker has accepted from a socket of its own moves', async (t) => {
  const { app, client } = await startWithClient(t, { policy: 'SCHED_REUSEPORT' }, (client) =>
    client.ask('/'),
  );
  await app.drain(1);
  t.is(await app.drained(1), 0);
  t.deepEqual((await client.ask('/')).json, { id: 2 });
  await end(app, client);
});

test('a connection from a socket that workers share ends with its next answer', async (t) => {
  const { app, client } = await startWithClient(t, { policy: 'SCHED_NONE' }, (client) =>
    client.ask('/'),
  );
  await app.drain(1);
  const { connection, json } = await client.ask('/');
  t.deepEqual([json.id, connection], [1, 'close']);
  t.is(await app.drained(1), 0);
  await end(app, client);
});

test('a connection to a Unix socket moves as well', async (t) => {
  const path = `${temporaryDirectory(t)}/http.sock`;
  const { app, client } = await startWithClient(t, { path }, (client) => client.ask('/'));
  await app.drain(1);
  t.is(await app.drained(1), 0);
  t.deepEqual((await client.ask('/')).json, { id: 2 });
  await end(app, client);
});

test('a connection moves when its answer is complete, which does not say close', async (t) => {
  const { app, client } = await startWithClient(t, {}, async (client, app) => {
    await client.ask('/');
    client.send('/hold');
    await app.line({ holds: 1 });
  });
  await app.drain(1);
  app.tell(1, 'release');
  const { connection, json } = await client.answer();
  t.deepEqual(json, { id: 1 });
  t.not(connection, 'close');
  t.is(await app.drained(1), 0);
  t.deepEqual((await client.ask('/')).json, { id: 2 });
  await end(app, client);
});

test('a connection that has been silent from the start moves, and is then served', async (t) => {
  const { app, client } = await startWithClient(t, {}, async (_client, app) => {
    while ((await app.stats()).workers[1].open === 0);
  });
  await app.drain(1);
  t.is(await app.drained(1), 0);
  t.is(await app.moved(), 1);
  t.deepEqual((await client.ask('/')).json, { id: 2 });
  await end(app, client);
});

test("the server's sockets emit 'close' as they move, and it counts them no longer", async (t) => {
  const { app, client } = await startWithClient(t, {}, (client) => client.ask('/'));
  await app.drain(1);
  await app.line({ from: 1, closed: 'socket', left: 0 });
  t.is(await app.drained(1), 0);
  await end(app, client);
});

test('a large answer comes whole before its connection moves', async (t) => {
  const { app, client } = await startWithClient(t, {}, async (client, app) => {
    await client.ask('/');
    client.pause();
    client.send('/big');
    await app.line({ from: 1, did: 'big' });
  });
  await app.drain(1);
  client.resume();
  t.is((await client.answer()).body.length, BIG);
  t.is(await app.drained(1), 0);
  t.deepEqual((await client.ask('/')).json, { id: 2 });
  await end(app, client);
});

test('half a head stays with the worker that has read it', async (t) => {
  const { app, client } = await startWithClient(t, {}, async (client, app) => {
    await client.ask('/');
    client.write(HALF);
    await app.untilRead(1, client.sent);
  });
  await app.drain(1);
  client.write('st: x\r\n\r\n');
  t.deepEqual((await client.answer()).json, { id: 1 });
  t.is(await app.drained(1), 0);
  t.deepEqual((await client.ask('/')).json, { id: 2 });
  await end(app, client);
});

test('half a head is counted as cut when the time is over', async (t) => {
  const { app, client } = await startWithClient(t, {}, async (client, app) => {
    client.write(HALF);
    await app.untilRead(1, client.sent);
  });
  await app.drain(1, { timeout: 2000 });
  t.is(await app.drained(1), 1);
  await end(app, client);
});

test('a body that is still coming stays with the worker', async (t) => {
  const { app, client } = await startWithClient(t, {}, async (client, app) => {
    await client.ask('/');
    client.write('POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n01234');
    await app.untilRead(1, client.sent);
  });
  await app.drain(1);
  client.write('56789');
  t.deepEqual((await client.answer()).json, { id: 1, length: 10 });
  t.is(await app.drained(1), 0);
  await end(app, client);
});

// Each does something with its socket after an answer.
const afterwards = (what) => (client, app) =>
  Promise.all([client.ask('/afterwards', { 'X-What': what }), app.line({ from: 1, did: what })]);

test('what the program has written itself is sent before a connection moves', async (t) => {
  const { app, client } = await startWithClient(t, {}, async (client, app) => {
    client.pause();
    client.send('/afterwards', { 'X-What': 'writes' });
    await app.line({ from: 1, did: 'writes' });
  });
  await app.drain(1);
  client.resume();
  await client.answer();
  await client.bytes(BIG);
  t.is(await app.drained(1), 0);
  await end(app, client);
});

test('a connection stays while the program answers by itself', async (t) => {
  const { app, client } = await startWithClient(t, {}, async (client, app) => {
    await client.ask('/');
    client.send('/detach');
    await app.line({ holds: 1 });
  });
  await app.drain(1);
  app.tell(1, 'release');
  t.is((await client.answer()).body, 'detached');
  client.destroy();
  t.is(await app.drained(1), 0);
  t.is(await app.moved(), 0);
  await app.end();
});

test('a connection whose bytes wait for the program does not move', async (t) => {
  const { app, client } = await startWithClient(t, {}, async (client, app) => {
    await afterwards('reads')(client, app);
    client.send('/');
    await app.line({ from: 1, isUnread: true });
  });
  await app.drain(1, { timeout: 2000 });
  await app.drained(1);
  t.is(await app.moved(), 0);
  await end(app, client);
});

test('a connection that the program has paused does not move', async (t) => {
  const { app, client } = await startWithClient(t, {}, afterwards('pauses'));
  await app.drain(1, { timeout: 2000 });
  await app.drained(1);
  t.is(await app.moved(), 0);
  await end(app, client);
});

test('a connection that the program ends does not move', async (t) => {
  const { app, client } = await startWithClient(t, {}, afterwards('ends'));
  await app.drain(1, { timeout: 2000 });
  await app.drained(1);
  t.is(await app.moved(), 0);
  await end(app, client);
});

test('a silent connection that the program has written to does not move', async (t) => {
  const { app, client } = await startWithClient(t, { greets: true }, (client) =>
    client.text('hello'),
  );
  await app.drain(1, { timeout: 2000 });
  await app.drained(1);
  t.is(await app.moved(), 0);
  await end(app, client);
});

for (const [what, kind, options] of [
  [
    'of a server that limits the requests of each',
    'http',
    { members: { maxRequestsPerSocket: 9 } },
  ],
  ['that a server in front has read from', 'front', {}],
  ['that is given to the HTTP server later than it came', 'wrapped', {}],
  ['pinned from the start', 'http', { pins: true }],
  ['to a server with TLS', 'https', {}],
]) {
  test(`a connection ${what} stays, and ends with its next answer`, async (t) => {
    const app = await startDrainApp(t, { kind, ...options });
    const client = await connect(app.target, { secure: kind === 'https' });
    if (kind === 'front' || kind === 'wrapped') client.write('front\n');
    t.not((await client.ask('/')).connection, 'close');
    await app.addWorker();
    await app.drain(1);
    const { connection, json } = await client.ask('/');
    t.deepEqual(json, { id: 1 });
    t.is(connection, 'close');
    await client.end();
    t.is(await app.drained(1), 0);
    t.is(await app.moved(), 0);
    await app.end();
  });
}

for (const [what, ...request] of [
  ['a request by NTLM', '/', { Authorization: 'ntlm abc' }],
  ['a request by Negotiate', '/', { authorization: 'NEGOTIATE abc' }],
  ['an answer that offers Negotiate', '/offers'],
]) {
  test(`a connection is pinned by ${what}`, async (t) => {
    const { app, client } = await startWithClient(t, {}, async (client) => {
      await client.ask(...request);
      await client.ask('/');
    });
    await app.drain(1);
    const { connection, json } = await client.ask('/');
    t.deepEqual([json.id, connection], [1, 'close']);
    t.is(await app.drained(1), 0);
    await end(app, client);
  });
}

test('a connection that is pinned while its worker drains stays', async (t) => {
  const { app, client } = await startWithClient(t, {}, async (client, app) => {
    client.send('/hold');
    await app.line({ holds: 1 });
  });
  await app.drain(1);
  app.tell(1, 'pin');
  app.tell(1, 'release');
  const { connection, json } = await client.answer();
  t.deepEqual([json.id, connection], [1, 'close']);
  t.is(await app.drained(1), 0);
  t.is(await app.moved(), 0);
  await end(app, client);
});

test('a connection stays where no other worker takes it', async (t) => {
  const app = await startDrainApp(t, { kind: 'http' });
  const client = await connect(app.target);
  await client.ask('/');
  await app.drain(1);
  const { connection, json } = await client.ask('/');
  t.deepEqual([json.id, connection], [1, 'close']);
  t.is(await app.drained(1), 0);
  await end(app, client);
});

test('a connection stays if idle ones are not to be handed over', async (t) => {
  const { app, client } = await startWithClient(t, {}, (client) => client.ask('/'));
  await app.drain(1, { handOverIdle: false });
  const { connection, json } = await client.ask('/');
  t.deepEqual([json.id, connection], [1, 'close']);
  t.is(await app.drained(1), 0);
  await end(app, client);
});

test('an idle connection that stays ends when its keep-alive time is over', async (t) => {
  const { app, client } = await startWithClient(
    t,
    { pins: true, members: { keepAliveTimeout: 500 } },
    (client) => client.ask('/'),
  );
  await app.drain(1);
  await client.end();
  t.is(await app.drained(1), 0);
  await app.end();
});

test('what is left of the keep-alive time is kept', async (t) => {
  const app = await startDrainApp(t, { kind: 'http', members: { keepAliveTimeout: KEPT } });
  await app.addWorker();
  const client = await connectTo(1, app.target);
  const start = Date.now();
  await client.ask('/');
  await app.drain(1);
  await app.drained(1);
  t.is(await app.moved(), 1);
  await client.end();
  const waited = Date.now() - start;
  t.true(waited >= KEPT - 50, `${waited} ms`);
  await app.end();
});

/** Connects until it is this worker that answers. */
async function connectTo(id, target) {
  for (;;) {
    const client = await connect(target);
    const { json } = await client.ask('/');
    if (json.id === id) return client;
    client.destroy();
  }
}

test('a connection whose keep-alive time has no end stays open', async (t) => {
  const members = { keepAliveTimeout: 0 };
  const { app, client } = await startWithClient(t, { members }, (client) => client.ask('/'));
  await app.drain(1);
  t.is(await app.drained(1), 0);
  t.deepEqual((await client.ask('/')).json, { id: 2 });
  await end(app, client);
});
