'use strict';

const path = require('node:path');

const ROOT = path.resolve(__dirname, '../..');
const BUILTIN = 'node:cluster';

// The implementation that the specs test: this project, or the module that the environment variable CLUSTER
// names. `CLUSTER=node:cluster` runs them against the built-in module, which is the reference.
const specifier = process.env.CLUSTER || ROOT;
const isBuiltin = [BUILTIN, 'cluster'].includes(specifier);

// The Node that runs the fixtures: any supported version, while the test runner needs a newer one.
const execPath = process.env.FIXTURE_NODE || process.execPath;

module.exports = { BUILTIN, ROOT, execPath, isBuiltin, specifier };
