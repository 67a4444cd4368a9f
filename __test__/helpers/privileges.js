'use strict';

const { spawnSync } = require('node:child_process');
const path = require('node:path');

const NOBODY = { uid: 65534, gid: 65534 };

/**
 * `uid` and `gid` of an unprivileged user; empty if the tests run as such a user; undefined if no such user
 * can read the project.
 */
const unprivileged = process.getuid?.() === 0 ? (canRead(NOBODY) ? NOBODY : undefined) : {};

function canRead(user) {
  const read = `require(${JSON.stringify(path.join(__dirname, 'implementation.js'))})`;
  return spawnSync(process.execPath, ['-e', read], user).status === 0;
}

module.exports = { unprivileged };
