'use strict';

// The built-in module knows the role: before any other code runs, Node decides it by the variable
// NODE_UNIQUE_ID, and deletes that. In a worker our preload has replaced the members of the built-in module,
// and in the primary `rs-cluster/register` does so.
const builtin = require('node:cluster');

function primary() {
  const { isReplaced } = require('./lib/node/builtin.js');
  return isReplaced(builtin) ? builtin : require('./lib/singleton.js')(builtin, createPrimary);
}

function createPrimary() {
  require('node:util').debuglog('cluster')(
    'what listens to node:cluster hears nothing of rs-cluster: see rs-cluster/register',
  );
  return require('./lib/primary/create-primary.js')();
}

// For a worker whose preload Node has not loaded, as in a single executable.
if (builtin.isWorker && 'RS_CLUSTER_WORKER' in process.env) require('./preload.js');

module.exports = builtin.isWorker ? builtin : primary();
