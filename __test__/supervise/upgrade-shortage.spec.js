'use strict';

// One of the primaries lacks descriptors, or memory, at some step of an upgrade: it succeeds, or the old one serves on.

const { writeFileSync } = require('node:fs');
const { spawnSync } = require('node:child_process');
const os = require('node:os');
const path = require('node:path');
const { serial: test } = require('ava');
const { canCompile, installFaulty } = require('../helpers/faulty-addon');
const { execPath, isBuiltin } = require('../helpers/implementation');
const { assertNothingLost, load } = require('../helpers/load');
const { answerLimit, startUpgradedTraffic } = require('../helpers/supervised-traffic');
const { temporaryDirectory } = require('../helpers/temporary');
const { descriptorsOf } = require('../helpers/traces');
const { LIMIT, SOON, noteState, shapesFor, unnoticed } = require('../helpers/unchanged');
const { HAS_PROC } = require('../../tools/process-group');

const hasPrlimit = spawnSync('prlimit', ['--version']).status === 0;

/** Makes a Node that has a limit of descriptors of this file. */
function limitNode(file, most) {
  writeFileSync(file, `#!/bin/sh\nulimit -n ${most}\nexec '${execPath}' "$@"\n`, { mode: 0o755 });
}

const limitDescriptors = (pid, most) =>
  spawnSync('prlimit', [`--pid=${pid}`, `--nofile=${most}:`], { stdio: 'inherit' });

/** How many calls succeed before one fails. */
const SKIPS = [0, 1, 2, 5, 13];
const CALLS = ['sendmsg on the control socket', 'recvmsg on the control socket'];
const { EMFILE, ENOMEM } = os.constants.errno;

/** Upgrades while a call fails; where that does not succeed, the old primary serves on. */
async function upgradeWithout(t, settings, prepare) {
  t.timeout(LIMIT);
  const env = { CLUSTER: installFaulty(t) };
  const { app, at, logs } = await startUpgradedTraffic(t, { settings, env, warns: true });
  const shapes = shapesFor(at);
  const outcomes = { good: 0, bad: 0 };
  const played = await load(t, shapes, {
    logs,
    answerLimitMs: answerLimit(),
    async operate(traffic) {
      for (const call of CALLS) {
        for (const [index, skip] of SKIPS.entries()) {
          const lacks = { call, errno: index % 2 ? EMFILE : ENOMEM, skip, count: 3 };
          const assertUnchanged = await noteState(app, []);
          await prepare(app, lacks);
          await traffic.burst();
          const error = await app.upgrade({ timeout: 20_000 }).then(
            () => undefined,
            (it) => it,
          );
          outcomes[error ? 'bad' : 'good'] += 1;
          if (error) await assertUnchanged(t, `${call}, ${skip}: ${error.message}`);
          else await app.untilSettled();
        }
      }
    },
  });
  t.log(outcomes);
  t.is((await app.stop()).code, 0);
  assertNothingLost(t, played);
}

// The built-in module does not supervise.
if (!isBuiltin && HAS_PROC && canCompile) {
  test('no request fails while system calls of new primaries lack resources', (t) =>
    upgradeWithout(t, {}, async (app, lacks) => app.change({ lacks })));

  // It stays the old one, because each successor dies just before it would serve.
  test('no request fails while system calls of the old primary lack resources', (t) =>
    upgradeWithout(t, { breaks: { at: 'listening', does: 'die' } }, async (app, lacks) => {
      const { length } = app.seen({ lacks: lacks.call });
      app.send(lacks);
      await app.linesLike({ lacks: lacks.call }, length + 1);
    }));
}

if (!isBuiltin && HAS_PROC) {
  test('the old primary serves on while the new one has too few descriptors, whatever it lacks them for', (t) => {
    const node = path.join(temporaryDirectory(t), 'node');
    const operate = async (app, assertUnchanged) => {
      // With more it may succeed: the last step of the test is that.
      for (let most = 12; most <= 44; most += 4) {
        limitNode(node, most);
        const upgraded = app.upgrade({ execPath: node, timeout: SOON });
        await t.throwsAsync(upgraded, undefined, `${most}`);
        await assertUnchanged(t, `${most} descriptors`);
      }
    };
    // Node itself aborts, and says where.
    return unnoticed(t, {}, operate, { crashes: true, warns: true });
  });

  if (hasPrlimit) {
    test('an old primary that runs out of descriptors at any step of an upgrade serves on', (t) => {
      const operate = async (app, assertUnchanged) => {
        const has = descriptorsOf(app.first).length;
        for (let more = 0; more < 12; more += 1) {
          limitDescriptors(app.first, has + more);
          app.change({ breaks: { at: 'listening', does: 'die' } });
          await t.throwsAsync(app.upgrade({ timeout: SOON }), undefined, `${more} more`);
          limitDescriptors(app.first, 4_096);
          await assertUnchanged(t, `${more} more descriptors`);
        }
      };
      // It warns of connections that wait.
      return unnoticed(t, {}, operate, { warns: true });
    });
  }
}
