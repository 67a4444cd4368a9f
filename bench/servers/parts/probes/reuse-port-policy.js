'use strict';

// Exit code 0 if this rs-cluster has the policy.

const cluster = require('../../../..');

process.exit(cluster.SCHED_REUSEPORT === undefined ? 1 : 0);
