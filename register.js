'use strict';

// `node --require rs-cluster/register app.js` (or --import): the application and every library that it loads
// get this engine by require('cluster') and import 'node:cluster'. In a worker there is nothing to do,
// because the preload has replaced the built-in module.

const builtin = require('node:cluster');
const { syncBuiltinESMExports } = require('node:module');
const { isReplaced, replace } = require('./lib/node/builtin.js');

if (builtin.isPrimary && !isReplaced(builtin)) {
  const createPrimary = require('./lib/primary/create-primary.js');
  // What the running Node does, which is not what it documents.
  replace(builtin, () => createPrimary(builtin, { killMode: 'immediate' }));
  // Modules may have imported its members already.
  syncBuiltinESMExports();
}

module.exports = builtin;
