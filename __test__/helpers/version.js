'use strict';

const { execFileSync } = require('node:child_process');
const { execPath } = require('./implementation');

const version = execFileSync(execPath, ['--version'], { encoding: 'utf8' }).trim().slice(1);

/** The 20 of 20.19.0, of the Node that runs the fixtures. */
const majorVersion = Number.parseInt(version, 10);

/** Whether the Node that runs the fixtures is of that version, or newer. */
function isAtLeast(wanted) {
  return version.localeCompare(wanted, 'en', { numeric: true }) >= 0;
}

module.exports = { isAtLeast, majorVersion };
