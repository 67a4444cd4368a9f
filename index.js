'use strict';

// The built-in module knows the role: before any other code runs, Node decides it by the variable
// NODE_UNIQUE_ID, and deletes that. In a worker our preload has replaced the members of the built-in module,
// and in the primary `rs-cluster/register` does so.
const builtin = require('node:cluster');
const { debuglog } = require('node:util');
const singleton = require('./lib/singleton.js');
const { isReplaced } = require('./lib/node/builtin.js');

function createPrimary() {
  debuglog('cluster')(
    'what listens to node:cluster hears nothing of rs-cluster: see rs-cluster/register',
  );
  return require('./lib/primary/create-primary.js')();
}

// For a worker whose preload Node has not loaded, as in a single executable.
if (builtin.isWorker && 'RS_CLUSTER_WORKER' in process.env) require('./preload.js');

module.exports =
  builtin.isWorker || isReplaced(builtin) ? builtin : singleton(builtin, createPrimary);
