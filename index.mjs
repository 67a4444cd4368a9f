// Every name exists in both roles, so that one file can serve as primary and as worker; those that
// the role does not have are undefined.
import cluster from './index.js';

export const {
  SCHED_NONE,
  SCHED_RR,
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
  worker,
  workers,
} = cluster;
export default cluster;
