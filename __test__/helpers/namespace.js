'use strict';

const { execFileSync } = require('node:child_process');

const ISOLATED = ['unshare', '--pid', '--fork', '--mount-proc', '--kill-child'];

/** A `launcher` that makes a program process 1; undefined where this needs more privileges than there are. */
function namespaceLauncher() {
  for (const launcher of [ISOLATED, [...ISOLATED, '--user', '--map-root-user']]) {
    try {
      execFileSync(launcher[0], [...launcher.slice(1), 'true'], { stdio: 'ignore' });
      return launcher;
    } catch {
      // The next one.
    }
  }
  return undefined;
}

module.exports = { namespaceLauncher };
