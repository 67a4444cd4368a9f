'use strict';

const { once } = require('node:events');
const { serial: test } = require('ava');
const { io } = require('socket.io-client');
const { start } = require('../helpers/fixture');
const { isBuiltin } = require('../helpers/implementation');

const WORKERS = 3;
const CLIENTS = 6;

// The built-in module does not have to be replaced.
const nodeArgs = isBuiltin ? [] : ['--require', 'rs-cluster/register'];

/** Rejects when the program ends, or a client loses its connection, because no answer would come then. */
function trouble(app, clients) {
  return new Promise((_resolve, reject) => {
    app.exited.then(() => reject(new Error('sticky.js has ended')), reject);
    for (const client of clients) {
      client.once('connect_error', reject);
      client.once('disconnect', (reason) => reject(new Error(`disconnected: ${reason}`)));
      client.io.once('open', () => client.io.engine.once('upgradeError', reject));
    }
  });
}

async function connected(client) {
  await once(client, 'connect');
  const { engine, opts } = client.io;
  if (opts.upgrade && engine.transport.name !== 'websocket') await once(engine, 'upgrade');
}

/** Resolves to the worker that answers all requests of a client; the last request is longer than one read. */
async function answering(client) {
  const ids = new Set();
  for (const size of [1, 1000, 1, 300_000]) {
    const answer = await client.emitWithAck('who', 'x'.repeat(size));
    if (answer.size !== size) throw new Error(`${answer.size} of ${size} bytes came`);
    ids.add(answer.id);
  }
  if (ids.size > 1) throw new Error(`workers ${[...ids]} answered one client`);
  return [...ids][0];
}

async function talk(t, clients, transport) {
  await Promise.all(clients.map(connected));
  const ids = await Promise.all(clients.map(answering));
  t.is(new Set(ids).size, WORKERS);
  for (const client of clients) t.is(client.io.engine.transport.name, transport);

  for (const [index, client] of clients.entries()) {
    const news = Promise.all(clients.map((each) => once(each, 'news')));
    client.emit('tell all');
    t.deepEqual(
      await news,
      clients.map(() => [ids[index]]),
    );
  }
  t.is(await clients[0].emitWithAck('count'), CLIENTS);
}

for (const transport of ['polling', 'websocket']) {
  const how = transport === 'polling' ? 'by polling' : 'that have upgraded to WebSockets';
  test(`clients of socket.io ${how} stay with their worker, and receive what any worker sends to all`, async (t) => {
    const app = start(t, 'docs/sticky', { args: [String(WORKERS)], nodeArgs, timeout: 90_000 });
    const { port } = await app.line({});
    const options = { forceNew: true, reconnection: false, upgrade: transport === 'websocket' };
    const clients = Array.from({ length: CLIENTS }, () => io(`http://127.0.0.1:${port}`, options));
    t.teardown(() => {
      for (const client of clients) client.disconnect();
    });
    await Promise.race([trouble(app, clients), talk(t, clients, transport)]);
    for (const client of clients) client.disconnect();
    await app.end();
  });
}
