'use strict';

const { start } = require('./fixture');

const HOST = '127.0.0.1';

/**
 * Starts the clustered server of `fixtures/shared/app.js`, and waits until all of its workers listen,
 * or are online if they have nothing to listen to.
 * `app.target` is the address for clients; by default a port of 127.0.0.1.
 */
async function startApp(t, { workers = 1, listen = { port: 0, host: HOST }, ...rest } = {}, how) {
  const app = start(t, 'shared/app', { args: [{ workers, listen, ...rest }], ...how });
  app.tell = (id, what) => app.send({ do: 'tell', id, what });
  const servers = [listen].flat().length;
  const event = servers > 0 ? 'listening' : 'online';
  const lines = await app.linesLike({ on: 'cluster', event }, workers * (servers || 1));
  const { port, address } = lines[0]?.args[0] ?? {};
  app.target = port > 0 ? { port, host: address ?? HOST } : { socketPath: address };
  return app;
}

/** The current result of `cluster.stats()`. */
async function statsOf(app) {
  const before = app.seen({ did: 'stats' }).length;
  app.send({ do: 'stats' });
  const lines = await app.linesLike({ did: 'stats' }, before + 1);
  return lines.at(-1);
}

/** Waits until a connection waits for the worker. The built-in module does not count them. */
async function untilWaiting(app, id) {
  while ((await statsOf(app)).workers[id].waiting === 0);
}

module.exports = { HOST, startApp, statsOf, untilWaiting };
