'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { setTimeout } = require('node:timers/promises');
const { everyShape } = require('../../bench/lib/every-shape');
const { compareIds } = require('../../bench/lib/ids');
const { startTraffic } = require('../../bench/lib/traffic');
const { freePort } = require('./free-port');
const { temporaryDirectory } = require('./temporary');
const { becomesTrue } = require('../../tools/process-group');

const KINDS = ['http', 'https', 'h2c', 'h2'];
/** Shapes whose clients keep a plain HTTP/1 connection, which the server does not close. */
const KEPT = ['get', 'post'];
/** The least share of TLS sessions that have to be resumed. */
const RESUMED = 0.99;
/** How long the requests of a burst may wait for their answers on an idle machine, in ms. */
const BURST_WITHIN = 60_000;
const NONE_CLOSED = { announced: 0, byClient: 0, idleFin: 0, idleReset: 0 };

/** What servers of every kind listen on, and the addresses of it for clients. */
async function addresses(t) {
  const at = { unix: path.join(temporaryDirectory(t), 'socket') };
  const servers = [{ kind: 'http', listen: { path: at.unix } }];
  for (const kind of KINDS) {
    const port = await freePort();
    at[kind] = `127.0.0.1:${port}`;
    servers.push({ kind, listen: { host: '127.0.0.1', port } });
  }
  return { at, servers };
}

/** Every shape, with so many clients that post without a pause. */
function shapesWith(postClients, at) {
  return everyShape(at).map((it) => {
    const isPost = it.shape === 'post' && it.name === undefined;
    return isPost ? { ...it, count: postClients } : it;
  });
}

/** Begins a burst when the last one is served. On a busy machine they would pile up otherwise, until requests time out. */
async function burst(traffic) {
  const isServed = async () => (await traffic.status()).inBursts === 0;
  if (!(await becomesTrue(isServed, BURST_WITHIN))) throw new Error('a burst is not served');
  await traffic.burst();
}

/**
 * Plays shapes of traffic while `operate` does something to the server.
 *
 * The server's workers log their ids to `logs.server`: see `bench/servers/parts/id-log.js`.
 *
 * @param {object[]} shapes what `bench/load/src/traffic/plan.rs` lists
 * @param {object} [options]
 * @param {ReturnType<typeof logsOf>} [options.logs] to compare the ids of clients and workers
 * @param {number} [options.requests] how many requests there must be at least
 * @param {number} [options.answerLimitMs]
 * @param {(traffic: object) => Promise<void>} [options.operate] begins when every shape has had an answer; gets
 *   `burst()` and `status()`
 * @returns the report: of each shape by its name, `failed` in all, `total`, and the `ids`
 */
async function load(t, shapes, { logs, requests = 0, answerLimitMs, operate } = {}) {
  const traffic = await startTraffic(shapes, { log: logs?.client, answerLimitMs });
  t.teardown(() => traffic.kill());
  await traffic.ready();
  await operate?.({ burst: () => burst(traffic), status: () => traffic.status() });
  while ((await traffic.status()).requests < requests) await setTimeout(50);
  const { shapes: reports, ...report } = await traffic.stop();
  const byName = Object.fromEntries(reports.map((shape) => [shape.name, shape]));
  const ids = logs && compareIds(logs.client, logs.server);
  return { ...report, shapes: byName, failed: report.total.failed, ids };
}

/** Fresh files for the ids of clients and workers. */
function logsOf(t) {
  const directory = temporaryDirectory(t);
  const logs = { client: path.join(directory, 'client'), server: path.join(directory, 'server') };
  for (const file of Object.values(logs)) fs.writeFileSync(file, '');
  return logs;
}

/** Fails unless all requests were answered, once each; tells which were not. */
function assertNothingLost(t, { total, shapes, ids }) {
  const failed = Object.values(shapes).filter((shape) => shape.failed > 0);
  const failures = failed.map(({ name, failures, examples }) => ({ name, failures, examples }));
  t.deepEqual(failures, [], 'failed requests');
  // A WebSocket's client that the server says good-bye to does not expect an echo any more.
  const notEchoed = Object.values(shapes).reduce((sum, it) => sum + it.notEchoed, 0);
  t.is(total.answered + notEchoed, total.requests);
  if (!ids) return;
  for (const kind of ['lost', 'halfServed', 'servedInVain', 'twice']) {
    t.deepEqual(ids[kind].slice(0, 5), [], kind);
  }
}

/** Fails if a client of plain HTTP/1 had to open its connection anew, because the server had closed it. */
function assertNoneClosed(t, played, shapes) {
  for (const name of KEPT) {
    const { opened, closed } = played.shapes[name];
    t.is(opened, shapes.find((shape) => (shape.name ?? shape.shape) === name).count, name);
    t.deepEqual({ ...closed, byClient: 0 }, NONE_CLOSED, name);
  }
}

/** Fails unless TLS clients could resume nearly all of their sessions. */
function assertResumed(t, { shapes }, wanted) {
  // Those of other shapes are few, and have no more tickets than connections.
  for (const { shape, name = shape, tls, count = 1 } of wanted) {
    if (tls === undefined || shape !== 'connections') continue;
    const { opened, resumed } = shapes[name];
    // The first connection of each client may have none to resume.
    const share = resumed / Math.max(opened - count, 1);
    t.true(share >= RESUMED, `${name}: ${resumed} of ${opened}`);
  }
}

module.exports = {
  NONE_CLOSED,
  addresses,
  assertNoneClosed,
  assertNothingLost,
  assertResumed,
  load,
  logsOf,
  shapesWith,
};
