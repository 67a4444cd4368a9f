'use strict';

// The role is the built-in module's to tell: Node decides it by NODE_UNIQUE_ID, and deletes that
// variable, before any other code runs. In a worker our preload has taken the built-in's seat, and
// `rs-cluster/register` has in the primary.
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

// Where Node has not loaded the preload of a worker.
if (builtin.isWorker && 'RS_CLUSTER_WORKER' in process.env) require('./preload.js');

module.exports =
  builtin.isWorker || isReplaced(builtin) ? builtin : singleton(builtin, createPrimary);
