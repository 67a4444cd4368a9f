'use strict';

// A worker of rs-cluster, which says 'draining', or of node:cluster, whose primary has to say so itself.

const cluster = require(process.env.RS_CLUSTER ?? 'node:cluster');
const { startWorker } = require('./traffic-worker.js');

const { leave } = startWorker();
cluster.worker.on('draining', leave);
process.on('message', (message) => {
  if (message === 'leave') leave();
});
