'use strict';

// Upstream's tests of Node's internals, which a cluster with its own engine does not have, each with the
// reason. No other files are excluded by hand: lib/selection.js finds those that a Node binary does not
// pass on this machine.

module.exports = {
  'test-cluster-accept-fail':
    'it replaces a method of the internal RoundRobinHandle, by --expose-internals, to make accepting ' +
    'fail; here the primary has no such object, and accepts in the engine',
  'test-cluster-worker-handle-close':
    "it waits for the internal message 'newconn', by which Node's primary hands a connection over; " +
    'here connections come by a queue of their own, without a message',
  'test-cluster-net-listen-backlog':
    "it replaces net.Server#listen to see Node's primary call it with the backlog; here the engine " +
    'listens, and listen/backlog.spec.js asks the kernel for the backlog',
};
