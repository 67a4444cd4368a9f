'use strict';

const { countAnswers, get } = require('./client');
const { start } = require('./fixture');
const { isBuiltin } = require('./implementation');

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

/** The result of `cluster.stats()` when no worker seems to be blocked, so that all get connections. */
async function statsWhenReachable(app) {
  for (;;) {
    const stats = await statsOf(app);
    if (Object.values(stats.workers).every(({ stalled }) => !stalled)) return stats;
  }
}

/** How many connections each worker has had, without those that other workers got in the end. */
function served({ workers }) {
  const counts = {};
  for (const [id, { accepted, handedOver, ...back }] of Object.entries(workers)) {
    counts[id] = accepted + handedOver - back.rescued - back.reclaimed - back.returned;
  }
  return counts;
}

/** How many connections were taken back from workers that seemed to be blocked. */
function rescued({ listeners }) {
  return listeners.reduce((sum, listener) => sum + listener.rescued, 0);
}

/**
 * Sends requests one after the other, and checks that the workers take turns: each answers as many as expected, by
 * its id. On a busy machine a worker may seem blocked for a moment. It loses connections to the other workers, and
 * gets no more for that moment, so then the answers only have to agree with the statistics.
 */
async function checkTurns(t, app, expected, ask = get) {
  const count = Object.values(expected).reduce((sum, each) => sum + each);
  if (isBuiltin) return t.deepEqual(await countAnswers(app.target, count, ask), expected);
  const before = await statsWhenReachable(app);
  const answers = await countAnswers(app.target, count, ask);
  const after = await statsOf(app);
  if (rescued(after) === rescued(before)) t.deepEqual(answers, expected);
  const [earlier, later] = [served(before), served(after)];
  for (const id of Object.keys({ ...later, ...answers })) {
    t.is(answers[id] ?? 0, later[id] - earlier[id], `worker ${id}`);
    t.true(id in expected || answers[id] === undefined, `worker ${id} answers`);
  }
}

/**
 * Sends requests that are not answered yet, one after the other, until each of these workers has one; resolves to
 * promises of the answers.
 */
async function hold(app, ids) {
  const held = [];
  while (ids.some((id) => app.seen({ server: 'holds', id }).length === 0)) {
    held.push(get(app.target, { path: '/hold' }));
    await app.linesLike({ server: 'holds' }, held.length);
  }
  return held;
}

module.exports = {
  HOST,
  checkTurns,
  hold,
  rescued,
  served,
  startApp,
  statsOf,
  statsWhenReachable,
  untilWaiting,
};
