// Every name exists in both roles, so that one file can serve as primary and as worker. A name that the role
// does not have is undefined.
import cluster from './index.js';

export const {
  SCHED_LEAST_CONNECTIONS,
  SCHED_NONE,
  SCHED_RR,
  SCHED_SOURCE_HASH,
  SCHED_REUSEPORT,
  Worker,
  disconnect,
  fork,
  isMaster,
  isPrimary,
  isWorker,
  schedulingPolicy,
  settings,
  setupMaster,
  setupPrimary,
  stats,
  supervise,
  worker,
  workers,
} = cluster;
export default cluster;
