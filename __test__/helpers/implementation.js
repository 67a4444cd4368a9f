'use strict';

const path = require('node:path');

const ROOT = path.resolve(__dirname, '../..');
const BUILTIN = 'node:cluster';

// What the specs test: this project, or whatever the environment variable CLUSTER names.
// `CLUSTER=node:cluster` runs them against the built-in, which is the referee.
const specifier = process.env.CLUSTER || ROOT;
const isBuiltin = [BUILTIN, 'cluster'].includes(specifier);

// The Node that runs the fixtures: any that is supported, while the test runner wants a newer one.
const execPath = process.env.FIXTURE_NODE || process.execPath;

module.exports = { BUILTIN, execPath, isBuiltin, specifier };
