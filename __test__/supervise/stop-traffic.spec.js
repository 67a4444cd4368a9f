'use strict';

// The order in which Kubernetes stops a program: it sends SIGTERM, then routes no new connections to the program, which
// is not ready any more; the program finishes what it has begun.

const { serial: test } = require('ava');
const { isBuiltin } = require('../helpers/implementation');
const { assertNothingLost, load, shapesWith } = require('../helpers/load');
const { answerLimit, startTrafficProgram } = require('../helpers/supervised-traffic');

const STOPS = Number(process.env.STOPS ?? 20);
const AT_ONCE = 4;
const SHUTDOWN_DELAY = 4_000;
// Requests that come after the program has said that it is not ready.
const AFTERWARDS = 100;

/** Fewer clients of each shape: several programs run at once. */
const few = (at) => shapesWith(2, at).map((it) => ({ ...it, count: Math.min(it.count ?? 1, 10) }));

async function stopUnderTraffic(t) {
  const { app, at, logs } = await startTrafficProgram(t, {
    options: { shutdownDelay: SHUTDOWN_DELAY, minUptime: 0 },
  });
  const played = await load(t, few(at), {
    logs,
    answerLimitMs: answerLimit(),
    async operate(traffic) {
      app.signal('SIGTERM');
      await app.statusWhen(({ state }) => state === 'stopping');
      const { requests } = await traffic.status();
      while ((await traffic.status()).requests < requests + AFTERWARDS);
      t.deepEqual(app.events('draining'), [], 'it goes on serving');
    },
  });
  const { code } = await app.finish();
  t.is(code, 0);
  assertNothingLost(t, played);
  t.deepEqual(app.events('cut'), []);
}

// The built-in module does not supervise.
if (!isBuiltin) {
  test(`no request fails while a program stops in the order of Kubernetes, ${STOPS} times`, async (t) => {
    t.timeout(120_000 + STOPS * 10_000);
    const lane = async () => {
      for (let i = 0; i < STOPS / AT_ONCE; i += 1) await stopUnderTraffic(t);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, lane));
  });
}
