'use strict';

// One of the primaries lacks descriptors, or memory, at some step of an upgrade: it succeeds, or the old one serves on.

const { chmodSync, writeFileSync } = require('node:fs');
const path = require('node:path');
const { spawnSync } = require('node:child_process');
const { serial: test } = require('ava');
const { execPath, isBuiltin } = require('../helpers/implementation');
const { descriptorsOf } = require('../helpers/traces');
const { SOON, unnoticed } = require('../helpers/unchanged');
const { HAS_PROC } = require('../../tools/process-group');

const hasPrlimit = spawnSync('prlimit', ['--version']).status === 0;

/** A Node with a limit of descriptors. */
function limitedNode(app, most) {
  const file = path.join(app.runtime, 'limited-node');
  writeFileSync(file, `#!/bin/sh\nulimit -n ${most}\nexec '${execPath}' "$@"\n`);
  chmodSync(file, 0o755);
  return file;
}

const limitDescriptors = (pid, most) =>
  spawnSync('prlimit', [`--pid=${pid}`, `--nofile=${most}:`], { stdio: 'inherit' });

// The built-in module does not supervise.
if (!isBuiltin && HAS_PROC) {
  test('the old primary serves on while the new one has too few descriptors, whatever it lacks them for', (t) =>
    unnoticed(t, {}, async (app, assertUnchanged) => {
      const execPath = limitedNode(app, 12);
      let most = 12;
      // With more it may succeed: the last step of the test is that.
      for (; most <= 44; most += 2) {
        limitedNode(app, most);
        await t.throwsAsync(app.upgrade({ execPath, timeout: SOON }), undefined, `${most}`);
        await assertUnchanged(t, `${most} descriptors`);
      }
    }));

  if (hasPrlimit) {
    test('an old primary that runs out of descriptors at any step of an upgrade serves on', (t) =>
      unnoticed(t, {}, async (app, assertUnchanged) => {
        const has = descriptorsOf(app.first).length;
        for (let more = 0; more < 12; more += 1) {
          limitDescriptors(app.first, has + more);
          app.change({ breaks: { at: 'listening', does: 'die' } });
          await t.throwsAsync(app.upgrade({ timeout: SOON }), undefined, `${more} more`);
          limitDescriptors(app.first, 4_096);
          await assertUnchanged(t, `${more} more descriptors`);
        }
      }));
  }
}
