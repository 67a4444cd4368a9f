'use strict';

// Upstream's tests of Node's private machinery, which a cluster with an engine of its own does not
// have, each with the reason. Nothing else is taken out by hand: what a Node binary does not pass on
// a machine, it says itself (see lib/selection.js).

module.exports = {
  'test-cluster-accept-fail':
    'it replaces a method of the internal RoundRobinHandle, by --expose-internals, to make accepting ' +
    'fail; here the primary has no such object, and accepts in the engine',
  'test-cluster-worker-handle-close':
    "it waits for the internal message 'newconn', by which Node's primary hands a connection over; " +
    'here connections come on a lane of their own, without a message',
  'test-cluster-net-listen-backlog':
    "it replaces net.Server#listen to see Node's primary call it with the backlog; here the engine " +
    'listens, and send-queue.spec.js asks the kernel for the backlog',
};
