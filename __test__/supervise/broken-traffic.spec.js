'use strict';

// Every shape of traffic while a program is reloaded to code that does not work: no request fails.

const { serial: test } = require('ava');
const { isBuiltin } = require('../helpers/implementation');
const { assertNoneClosed, assertNothingLost, load, shapesWith } = require('../helpers/load');
const { BROKEN, brokenSource } = require('../helpers/programs');
const {
  POST_CLIENTS,
  answerLimit,
  startTrafficProgram,
  trafficProgram,
} = require('../helpers/supervised-traffic');

// How often each of them.
const TIMES = Number(process.env.BROKEN ?? 1);
const LIMIT = 120_000 + TIMES * 60_000;
const OPTIONS = {
  minUptime: 2_000,
  readyTimeout: 3_000,
  // Enough for a worker that works.
  execArgv: ['--max-old-space-size=100'],
};

// The built-in module does not supervise.
if (!isBuiltin) {
  test('no request fails while a program is reloaded to code that does not work', async (t) => {
    t.timeout(LIMIT);
    const { app, at, logs } = await startTrafficProgram(t, {
      options: OPTIONS,
      crashes: true,
      warns: true,
      timeout: LIMIT,
    });
    const pids = await app.pids();
    const shapes = shapesWith(POST_CLIENTS, at);
    const played = await load(t, shapes, {
      logs,
      answerLimitMs: answerLimit(),
      async operate(traffic) {
        for (let i = 0; i < TIMES; i += 1) {
          for (const [title, broken] of Object.entries(BROKEN)) {
            app.deploy(brokenSource(broken, trafficProgram));
            await traffic.burst();
            const error = await t.throwsAsync(app.perform('reload'), undefined, title);
            t.true(broken.phases.includes(error?.phase), `${title}: ${error?.phase}`);
            t.true(error?.stderr.includes(broken.stderr), title);
            t.deepEqual(await app.pids(), pids, title);
          }
        }
      },
    });
    app.deploy(trafficProgram());
    await app.perform('reload');
    await app.end();
    assertNothingLost(t, played);
    assertNoneClosed(t, played, shapes);
    t.deepEqual(app.events('cut'), []);
  });
}
