'use strict';

/** The names of all policies. */
const POLICIES = [
  'SCHED_RR',
  'SCHED_LEAST_CONNECTIONS',
  'SCHED_SOURCE_HASH',
  'SCHED_REUSEPORT',
  'SCHED_NONE',
];

module.exports = { POLICIES };
