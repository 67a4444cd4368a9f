'use strict';

// Upgrades between this release and those before it, in both directions: only the protocol of the two primaries has to
// fit.

const { serial: test } = require('ava');
const { archives, build } = require('../helpers/frozen');
const { isBuiltin, specifier } = require('../helpers/implementation');
const { assertNoneClosed, assertNothingLost, load, shapesWith } = require('../helpers/load');
const {
  POST_CLIENTS,
  answerLimit,
  startUpgradedTraffic,
} = require('../helpers/supervised-traffic');
const { HAS_PROC } = require('../../tools/process-group');

const LIMIT = 300_000;
const BUILD_LIMIT = 1_200_000;
const POLICIES = ['SCHED_RR', 'SCHED_REUSEPORT'];
const ROUNDS = 2;

/** Upgrades from one package to another and back, under every shape of traffic. */
async function alternate(t, packages, policy) {
  t.timeout(LIMIT);
  const { app, at, logs } = await startUpgradedTraffic(t, {
    settings: { policy, package: packages[0] },
    timeout: LIMIT,
  });
  const shapes = shapesWith(POST_CLIENTS, at);
  const played = await load(t, shapes, {
    logs,
    answerLimitMs: answerLimit(),
    async operate(traffic) {
      for (let i = 1; i <= ROUNDS; i += 1) {
        app.change({ package: packages[i % packages.length] });
        await traffic.burst();
        t.is((await app.upgrade()).generation, i + 1);
        await app.untilSettled();
      }
    },
  });
  const loaded = app.lines.filter((line) => line.serves).map((line) => line.package);
  t.is((await app.stop()).code, 0);
  t.deepEqual(loaded, [packages[0], packages[1], packages[0]]);
  assertNothingLost(t, played);
  assertNoneClosed(t, played, shapes);
}

// The built-in module does not supervise.
if (!isBuiltin && HAS_PROC) {
  const frozen = archives();

  test('a release is frozen', (t) => {
    t.true(frozen.size > 0, 'there is no archive in __test__/frozen: npm run freeze makes it');
  });

  for (const [version, archive] of frozen) {
    test(`the frozen release ${version} can be built`, async (t) => {
      t.timeout(BUILD_LIMIT);
      await t.notThrowsAsync(build(archive));
    });

    for (const policy of POLICIES) {
      test(`${policy}: ${version} upgrades to this release, and that back to ${version}`, async (t) =>
        alternate(t, [await build(archive), specifier], policy));
    }

    test(`this release upgrades to ${version}, and that back to this release`, async (t) =>
      alternate(t, [specifier, await build(archive)], 'SCHED_RR'));
  }
}
