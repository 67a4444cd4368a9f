'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { setTimeout } = require('node:timers/promises');
const { everyShape } = require('../../bench/lib/every-shape');
const { compareIds } = require('../../bench/lib/ids');
const { startTraffic } = require('../../bench/lib/traffic');
const { temporaryDirectory } = require('./temporary');

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
 * @param {(traffic: object) => Promise<void>} [options.operate] begins when every shape has had an answer
 * @returns the report: of each shape by its name, `failed` in all, `total`, and the `ids`
 */
async function load(t, shapes, { logs, requests = 0, answerLimitMs, operate } = {}) {
  const traffic = await startTraffic(shapes, { log: logs?.client, answerLimitMs });
  t.teardown(() => traffic.kill());
  await traffic.ready();
  await operate?.(traffic);
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

module.exports = { assertNothingLost, everyShape, load, logsOf };
