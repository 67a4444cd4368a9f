'use strict';

// `node --require rs-cluster/register app.js` (or --import): the application and every library it
// loads get this engine by require('cluster') and import 'node:cluster'. In a worker of ours there
// is nothing to do: the preload has taken the seat.

const builtin = require('node:cluster');
const { syncBuiltinESMExports } = require('node:module');
const { isReplaced, replace } = require('./lib/node/builtin.js');

if (builtin.isPrimary && !isReplaced(builtin)) {
  const createPrimary = require('./lib/primary/create-primary.js');
  // What the running Node does, also where that is not what it documents.
  replace(builtin, () => createPrimary(builtin, { killMode: 'immediate' }));
  // Modules may have imported it already.
  syncBuiltinESMExports();
}

module.exports = builtin;
