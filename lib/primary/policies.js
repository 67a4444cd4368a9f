'use strict';

const errors = require('../errors.js');

/**
 * The scheduling policies, by the names of the members of `cluster`. The engine knows them by these numbers.
 */
const POLICIES = {
  SCHED_NONE: 1,
  SCHED_RR: 2,
  SCHED_LEAST_CONNECTIONS: 3,
  SCHED_SOURCE_HASH: 4,
  SCHED_REUSEPORT: 5,
};
// The values of NODE_CLUSTER_SCHED_POLICY.
const NAMES = new Map([
  ['none', POLICIES.SCHED_NONE],
  ['rr', POLICIES.SCHED_RR],
  ['least-connections', POLICIES.SCHED_LEAST_CONNECTIONS],
  ['source-hash', POLICIES.SCHED_SOURCE_HASH],
  ['reuseport', POLICIES.SCHED_REUSEPORT],
]);

/** The policy that the environment names, or round-robin. */
function defaultPolicy() {
  return NAMES.get(process.env.NODE_CLUSTER_SCHED_POLICY) ?? POLICIES.SCHED_RR;
}

/** @throws `ERR_INTERNAL_ASSERTION`, as Node does */
function checkPolicy(policy) {
  if (!Object.values(POLICIES).includes(policy)) {
    throw errors.internalAssertion(`Bad cluster.schedulingPolicy: ${policy}`);
  }
}

module.exports = { POLICIES, checkPolicy, defaultPolicy };
