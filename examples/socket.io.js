'use strict';

// socket.io on every core. The requests of a client that polls must all reach the worker that has its
// session: SCHED_SOURCE_HASH keeps the clients of one address with one worker. What a worker tells
// all clients goes to those of the others by the cluster adapter.
//
//   node examples/socket.io.js            PORT=0 node examples/socket.io.js
//
// When a worker is blocked for a second, its requests go to others, who do not know the session; then
// the client connects again, as those of socket.io do by themselves. Behind a proxy all clients have
// one address; there @socket.io/sticky tells them apart.

// So that the adapter, which knows node:cluster only, is on the engine too.
const cluster = require('rs-cluster/register');
const os = require('node:os');
const { createAdapter, setupPrimary } = require('@socket.io/cluster-adapter');
const { Server } = require('socket.io');

if (cluster.isPrimary) {
  cluster.schedulingPolicy = cluster.SCHED_SOURCE_HASH;
  cluster.setupPrimary({ serialization: 'advanced' }); // for messages that hold Buffers
  setupPrimary();
  for (let i = 0; i < os.availableParallelism(); i++) cluster.fork();
  cluster.on('listening', ({ id }, { port }) => console.log(`Worker ${id} serves port ${port}`));
  process.once('SIGTERM', () => {
    for (const worker of Object.values(cluster.workers)) worker.send('goodbye');
    cluster.disconnect();
  });
} else {
  const io = new Server({ adapter: createAdapter() });
  io.on('connection', (socket) => {
    socket.on('who', (answer) => answer(cluster.worker.id));
    socket.on('say', (text) => io.emit('said', text));
  });
  io.listen(Number(process.env.PORT ?? 8000));
  // A server that closes waits for its connections, and those of socket.io last.
  process.on('message', (message) => message === 'goodbye' && io.close());
  process.once('disconnect', () => process.exit()); // the adapter's timers would hold it
}
