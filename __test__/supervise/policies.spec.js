'use strict';

const { serial: test } = require('ava');
const { isBuiltin } = require('../helpers/implementation');
const { assertNothingLost, load } = require('../helpers/load');
const { BROKEN, brokenSource, serves } = require('../helpers/programs');
const { startSupervised } = require('../helpers/supervised');
const { POLICIES } = require('../helpers/policies');
const {
  answerLimit,
  startTrafficProgram,
  trafficProgram,
} = require('../helpers/supervised-traffic');

const DEFECT = BROKEN['throws right after it is ready'];

// The built-in module does not supervise.
for (const policy of isBuiltin ? [] : POLICIES) {
  test(`the canary gets no connections during its minUptime: ${policy}`, async (t) => {
    const app = await startSupervised(t, { options: { policy, minUptime: 3_000 } });
    app.deploy(serves('two'));
    const reloaded = app.perform('reload');
    await app.linesLike({ on: 'cluster', event: 'listening' }, 3);
    t.deepEqual(new Set(await app.versions(20)), new Set(['one']));
    t.is(app.events('replace', { reason: 'reload' }).length, 0, 'so the test says something');
    await reloaded;
    t.deepEqual(new Set(await app.versions(20)), new Set(['two']));
    await app.end();
  });

  test(`no connection fails while good and broken code is reloaded: ${policy}`, async (t) => {
    const { app, at } = await startTrafficProgram(t, { options: { policy, minUptime: 500 } });
    const shapes = [
      { shape: 'connections', address: at.http, count: 4, think: [1, 5] },
      { shape: 'connections', name: 'open', address: at.http, rate: 200 },
    ];
    const played = await load(t, shapes, {
      answerLimitMs: answerLimit(),
      async operate() {
        for (let i = 0; i < 3; i += 1) {
          app.deploy(brokenSource(DEFECT, trafficProgram));
          await t.throwsAsync(app.perform('reload'));
          app.deploy(trafficProgram());
          await app.perform('reload');
        }
      },
    });
    await app.end();
    assertNothingLost(t, played);
  });
}
