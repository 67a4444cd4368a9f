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
 * Plays a round again until no connection was taken back meanwhile from a worker that seemed to be blocked. On a busy
 * machine that happens to workers that are not, and they lose their turns. Resolves to what the last round resolves to.
 */
async function withoutRescue(app, round) {
  if (isBuiltin) return round();
  for (;;) {
    const before = rescued(await statsWhenReachable(app));
    const result = await round();
    if (rescued(await statsOf(app)) === before) return result;
  }
}

/** Sends requests one after the other, and checks that the workers take turns: each answers as many as expected, by its id. */
async function checkTurns(t, app, expected, ask = get) {
  const count = Object.values(expected).reduce((sum, each) => sum + each);
  const answers = await withoutRescue(app, async () => {
    const counts = await countAnswers(app.target, count, ask);
    t.deepEqual(Object.keys(counts), Object.keys(expected));
    return counts;
  });
  t.deepEqual(answers, expected);
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
  served,
  startApp,
  statsOf,
  untilWaiting,
  withoutRescue,
};
