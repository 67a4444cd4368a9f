'use strict';

// To Bun's workers port 0 is a port for each of them, so this process picks one for all.

const cluster = require('node:cluster');
const net = require('node:net');
const { serve } = require('./parts/cluster-primary.js');

const picker = net.createServer();
picker.listen({ host: '127.0.0.1', port: 0 }, () => {
  const { port } = picker.address();
  picker.close(() => serve(cluster, cluster.SCHED_RR, port));
});
