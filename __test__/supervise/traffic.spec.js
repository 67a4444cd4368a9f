'use strict';

// Every shape of traffic while a program is reloaded and scaled: no request fails.

const { serial: test } = require('ava');
const { isBuiltin } = require('../helpers/implementation');
const { assertNoneClosed, assertNothingLost, load, shapesWith } = require('../helpers/load');
const { POST_CLIENTS, answerLimit, startTrafficProgram } = require('../helpers/supervised-traffic');
const { findNode } = require('../../tools/node-binary');

const NODES = (process.env.TRAFFIC_NODES ?? '20,26').split(',');
// 20 and 100,000 over all versions, unless it is said otherwise.
const RELOADS = Number(process.env.RELOADS ?? 20 / NODES.length);
const REQUESTS = 100_000 / NODES.length;
const SCALES = Number(process.env.SCALES ?? 20);
const LIMIT = 120_000 + (RELOADS + SCALES) * 10_000;

function assertNoneCut(t, app) {
  t.deepEqual(app.events('cut'), []);
  t.deepEqual(app.events('backoff'), []);
}

// The built-in module does not supervise.
for (const version of isBuiltin ? [] : NODES) {
  test(`no request fails while a program is reloaded ${RELOADS} times: Node ${version}`, async (t) => {
    t.timeout(LIMIT);
    const node = await findNode(version);
    const { app, at, logs } = await startTrafficProgram(t, { node, timeout: LIMIT });
    const shapes = shapesWith(POST_CLIENTS, at);
    const played = await load(t, shapes, {
      logs,
      answerLimitMs: answerLimit(),
      requests: REQUESTS,
      async operate(traffic) {
        for (let i = 0; i < RELOADS; i += 1) {
          await traffic.burst();
          t.is((await app.perform('reload')).generation, i + 2);
        }
      },
    });
    await app.end();
    assertNothingLost(t, played);
    assertNoneClosed(t, played, shapes);
    assertNoneCut(t, app);
    t.true(played.total.requests >= REQUESTS);
  });
}

if (!isBuiltin) {
  test(`no request fails while workers are recycled, and their number changes ${SCALES} times`, async (t) => {
    t.timeout(LIMIT);
    const { app, at, logs } = await startTrafficProgram(t, {
      options: { maxAge: 4_000, jitter: 0.5 },
      timeout: LIMIT,
    });
    const shapes = shapesWith(POST_CLIENTS, at);
    const played = await load(t, shapes, {
      logs,
      answerLimitMs: answerLimit(),
      async operate() {
        for (let i = 0; i < SCALES; i += 1) await app.perform('scale', [8, 1, 4, 2][i % 4]);
      },
    });
    await app.end();
    assertNothingLost(t, played);
    assertNoneClosed(t, played, shapes);
    assertNoneCut(t, app);
    t.true(app.events('replace', { reason: 'age' }).length > 0);
  });
}
