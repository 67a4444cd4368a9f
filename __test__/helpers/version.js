'use strict';

const { execFileSync } = require('node:child_process');
const { execPath } = require('./implementation');

const version = execFileSync(execPath, ['--version'], { encoding: 'utf8' });

/** The 20 of v20.19.0, of the Node that runs the fixtures. */
const majorVersion = Number.parseInt(version.slice(1), 10);

module.exports = { majorVersion };
