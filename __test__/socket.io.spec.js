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

/**
 * A connected client. A second request that overtakes the news of its session is sent to any worker,
 * and refused; then it begins again.
 */
async function connect(url, upgrade) {
  for (;;) {
    const client = io(url, { forceNew: true, reconnection: false, upgrade });
    const connected = new Promise((resolve, reject) => {
      client.once('connect', resolve).once('connect_error', reject).once('disconnect', reject);
    });
    const upgraded = new Promise((resolve, reject) => {
      client.io.once('open', () => {
        client.io.engine.once('upgrade', resolve).once('upgradeError', reject);
      });
    });
    try {
      await Promise.all(upgrade ? [connected, upgraded] : [connected]);
      return client;
    } catch {
      client.disconnect();
    }
  }
}

/** The application, and clients of all of its workers. */
async function startSticky(t, { upgrade }) {
  const app = start(t, 'sticky', { args: [String(WORKERS)], nodeArgs });
  const { port } = await app.line({});
  const url = `http://127.0.0.1:${port}`;
  const clients = [];
  const errors = [];
  t.teardown(() => {
    for (const client of clients) client.disconnect();
  });
  const workers = new Set();
  while (clients.length < CLIENTS || workers.size < WORKERS) {
    const client = await connect(url, upgrade);
    client.on('disconnect', (reason) => errors.push(reason));
    clients.push(client);
    workers.add((await client.emitWithAck('who', '')).id);
  }
  const end = async () => {
    t.deepEqual(errors, []);
    for (const client of clients) client.disconnect();
    await app.end();
  };
  return { clients, end };
}

/** The workers that answer several requests of a client; the last is longer than one read. */
async function answering(client) {
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
    const answers = await Promise.all(clients.map(answering));
    const transport = upgrade ? 'websocket' : 'polling';
    for (const client of clients) t.is(client.io.engine.transport.name, transport);
    t.deepEqual(
      answers.map(({ length }) => length),
      clients.map(() => 1),
    );
    const ids = answers.flat();

    const heard = () => Promise.all(clients.map((client) => once(client, 'news')));
    for (const [index, client] of clients.entries()) {
      const news = heard();
      client.emit('tell all');
      t.deepEqual(
        await news,
        clients.map(() => [ids[index]]),
      );
    }
    t.is(await clients[0].emitWithAck('count'), clients.length);
    await end();
  });
}
