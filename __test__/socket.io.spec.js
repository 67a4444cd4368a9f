'use strict';

const { once } = require('node:events');
const { serial: test } = require('ava');
const { io } = require('socket.io-client');
const { start } = require('./helpers/fixture');
const { isBuiltin } = require('./helpers/implementation');

const WORKERS = 3;
const CLIENTS = 6;

// The referee needs nobody to take its seat.
const nodeArgs = isBuiltin ? [] : ['--require', 'rs-cluster/register'];

/** The application, and clients of all of its workers that have connected by polling. */
async function startSticky(t, { upgrade }) {
  const app = start(t, 'sticky', { args: [String(WORKERS)], nodeArgs });
  const { port } = await app.line({});
  const url = `http://127.0.0.1:${port}`;
  const clients = [];
  t.teardown(() => {
    for (const { client } of clients) client.disconnect();
  });
  const workers = new Set();
  while (clients.length < CLIENTS || workers.size < WORKERS) {
    const client = io(url, { forceNew: true, upgrade, reconnectionDelay: 10 });
    const upgraded =
      upgrade &&
      new Promise((resolve) =>
        client.io.on('open', () => {
          client.io.engine.once('upgrade', resolve);
        }),
      );
    // A second request that overtakes the news of its session is refused; then it tries again.
    await once(client, 'connect');
    const errors = [];
    client.on('disconnect', (reason) => errors.push(reason));
    clients.push({ client, upgraded, errors });
    workers.add((await client.emitWithAck('who', '')).id);
  }
  const end = async () => {
    const errors = clients.flatMap((it) => it.errors);
    for (const { client } of clients) client.disconnect();
    await app.end();
    t.deepEqual(errors, []);
  };
  return { clients, end };
}

/** The workers that answer several requests of a client; the last is longer than one read. */
async function answering({ client }) {
  const ids = new Set();
  for (const size of [1, 1000, 1, 300_000]) {
    const answer = await client.emitWithAck('who', 'x'.repeat(size));
    if (answer.size !== size) throw new Error(`${answer.size} of ${size} bytes came`);
    ids.add(answer.id);
  }
  return [...ids];
}

for (const upgrade of [false, true]) {
  const how = upgrade ? 'that have upgraded to WebSockets' : 'by polling';
  test(`clients of socket.io ${how} stay with their worker, and hear of all`, async (t) => {
    const { clients, end } = await startSticky(t, { upgrade });
    await Promise.all(clients.map(({ upgraded }) => upgraded));
    const answers = await Promise.all(clients.map(answering));
    const transport = upgrade ? 'websocket' : 'polling';
    for (const { client } of clients) t.is(client.io.engine.transport.name, transport);
    t.deepEqual(
      answers.map(({ length }) => length),
      clients.map(() => 1),
    );
    const ids = answers.flat();

    const heard = () => Promise.all(clients.map(({ client }) => once(client, 'news')));
    for (const [index, { client }] of clients.entries()) {
      const news = heard();
      client.emit('tell all');
      t.deepEqual(
        await news,
        clients.map(() => [ids[index]]),
      );
    }
    t.is(await clients[0].client.emitWithAck('count'), clients.length);
    await end();
  });
}
