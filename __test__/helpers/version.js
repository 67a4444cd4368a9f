'use strict';

const { execFileSync } = require('node:child_process');
const { execPath } = require('./implementation');

const version = execFileSync(execPath, ['--version'], { encoding: 'utf8' }).trim().slice(1);

/** The major version of the Node that runs the fixtures: 20 for 20.19.0. */
const majorVersion = Number.parseInt(version, 10);

/** Whether the Node that runs the fixtures has this version or a newer one. */
function isAtLeast(wanted) {
  return version.localeCompare(wanted, 'en', { numeric: true }) >= 0;
}

module.exports = { isAtLeast, majorVersion };
