'use strict';

// With port 0, each of Bun's workers would get its own port, so this process picks one for all.

const cluster = require('node:cluster');
const net = require('node:net');
const { serve } = require('./parts/cluster-primary.js');

const picker = net.createServer();
picker.listen({ host: '127.0.0.1', port: 0 }, () => {
  const { port } = picker.address();
  picker.close(() => serve(cluster, cluster.SCHED_RR, port));
});
