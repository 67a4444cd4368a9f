'use strict';

// The role is the built-in module's to tell: Node decides it by NODE_UNIQUE_ID, and deletes that
// variable, before any other code runs. In a worker our preload has taken the built-in's seat.
const builtin = require('node:cluster');

module.exports = builtin.isWorker ? builtin : require('./lib/primary')();
