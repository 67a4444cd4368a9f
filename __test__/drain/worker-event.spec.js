'use strict';

// What the program of a worker learns as the worker drains, and what it may do then.

const test = require('ava');
const { startDrainApp } = require('../helpers/drain-app.js');
const { connect } = require('../helpers/http-client.js');

test("the event 'draining' gives the reason and the deadline", async (t) => {
  const app = await startDrainApp(t, { kind: 'http' });
  app.tell(1, 'members');
  const { members } = await app.line({ from: 1, did: 'members' });
  t.deepEqual(members, { drain: 'undefined', pin: 'function', is: false });
  const start = Date.now();
  await app.drain(1, { timeout: 5000, reason: 'a new version' });
  const { draining, keys } = await app.line({ from: 1, isDraining: true });
  t.deepEqual(keys, ['reason', 'deadline']);
  t.is(draining.reason, 'a new version');
  t.true(Math.abs(draining.deadline - start - 5000) < 2000, `${draining.deadline - start}`);
  t.is(await app.drained(1), 0);
  await app.end();
});

test('a worker without a server disconnects at once', async (t) => {
  const app = await startDrainApp(t, { kind: 'none' });
  await app.drain(1);
  t.is(await app.drained(1), 0);
  const [{ exitedAfterDisconnect, args }] = app.seen({ on: 'worker', event: 'exit' });
  t.deepEqual([exitedAfterDisconnect, args[0]], [true, 0]);
  await app.end();
});

test('pin() refuses what is not a socket', async (t) => {
  const app = await startDrainApp(t, { kind: 'http' });
  app.tell(1, 'pinWrong');
  const refused = await app.linesLike({ from: 1, refused: 'TypeError' }, 5);
  for (const { code, message } of refused) {
    t.is(code, 'ERR_INVALID_ARG_TYPE');
    t.regex(message, /^The "socket" argument must be an instance of net\.Socket\. Received /);
  }
  await app.end();
});

for (const kind of ['https', 'h2', 'net', 'tls']) {
  test(`pin() takes sockets that would not move anyway: ${kind}`, async (t) => {
    const app = await startDrainApp(t, { kind, pins: true });
    const client = await connect(app.target, { secure: kind !== 'net' });
    client.destroy();
    await app.line({ from: 1, closed: 'socket' });
    await app.drain(1);
    t.is(await app.drained(1), 0);
    await app.end();
  });
}

for (const onDraining of ['disconnect', 'closeServer', 'throw']) {
  test(`a request is answered though the listener of 'draining' does this: ${onDraining}`, async (t) => {
    const app = await startDrainApp(t, { kind: 'http', onDraining });
    const client = await connect(app.target);
    client.send('/hold');
    await app.line({ holds: 1 });
    await app.drain(1);
    if (onDraining === 'throw') await app.line({ from: 1, caught: 'thrown on purpose' });
    app.tell(1, 'release');
    const { json, connection } = await client.answer();
    t.deepEqual([json, connection], [{ id: 1 }, 'close']);
    t.is(await app.drained(1), 0);
    await client.end();
    await app.end();
  });
}

test("a program may exit as it hears 'draining'", async (t) => {
  const app = await startDrainApp(t, { kind: 'http', onDraining: 'exit' });
  app.send({ do: 'drain', id: 1 });
  t.is(await app.drained(1), 0);
  t.is(app.seen({ on: 'worker', event: 'exit' })[0].args[0], 7);
  await app.end();
});

test("a program may disconnect its process as it hears 'draining'", async (t) => {
  const app = await startDrainApp(t, { kind: 'http', onDraining: 'disconnectProcess' });
  app.send({ do: 'drain', id: 1 });
  t.is(await app.drained(1), 0);
  await app.end();
});

test('a warning says that TLS connections may stay open for longer than there is time', async (t) => {
  const members = { keepAliveTimeout: 60_000 };
  const app = await startDrainApp(t, { kind: 'https', members }, { warns: true });
  const clients = await Promise.all([1, 2].map(() => connect(app.target, { secure: true })));
  for (const client of clients) await client.ask('/');
  await app.drain(1, { timeout: 5000 });
  const warning = await app.line({ from: 1, warning: 'DrainWarning' });
  t.is(warning.code, 'RS_CLUSTER_KEEP_ALIVE_TIMEOUT');
  t.regex(warning.message, /worker 1 .* \d+ ms .* 60000 ms/);
  for (const client of clients) await client.ask('/');
  t.is(await app.drained(1), 0);
  t.is(app.seen({ from: 1, warning: 'DrainWarning' }).length, 1);
  await app.end();
});

test('no warning is given where TLS connections end in time', async (t) => {
  const members = { keepAliveTimeout: 1000 };
  const app = await startDrainApp(t, { kind: 'https', members });
  const client = await connect(app.target, { secure: true });
  await client.ask('/');
  await app.drain(1, { timeout: 5000 });
  await client.end();
  t.is(await app.drained(1), 0);
  t.deepEqual(app.seen({ from: 1, warning: 'DrainWarning' }), []);
  await app.end();
});
