import cluster from './index.js';

export type Address = cluster.Address;
export type Cluster = cluster.Cluster;
export type ClusterSettings = cluster.ClusterSettings;
export type KillMode = cluster.KillMode;
export type ListenerStats = cluster.ListenerStats;
export type Stats = cluster.Stats;
export type WorkerStats = cluster.WorkerStats;

// Of one name, the class and its instances, as in node:cluster.
export type Worker = cluster.Worker;
export const Worker: typeof cluster.Worker;

export const SCHED_NONE: number;
export const SCHED_RR: number;
/** The worker with the fewest open connections gets the next. */
export const SCHED_LEAST_CONNECTIONS: 3;
/** The clients of one address stay with one worker. */
export const SCHED_SOURCE_HASH: 4;
export const SCHED_REUSEPORT: 5;
export const isPrimary: boolean;
/** @deprecated use `isPrimary` */
export const isMaster: boolean;
export const isWorker: boolean;

/** The policy at the time of the import. To choose another, assign it to `cluster`. */
export const schedulingPolicy: number;
/**
 * The settings at the time of the import: `{}` as a rule. Those in force are `cluster.settings`.
 * Undefined in a worker.
 */
export const settings: ClusterSettings;
/** Active workers by id. Undefined in a worker. */
export const workers: Cluster['workers'];
/** Undefined in the primary. */
export const worker: Cluster['worker'];

/** Undefined in a worker. */
export const fork: Cluster['fork'];
/** Undefined in a worker. */
export const disconnect: Cluster['disconnect'];
/** Undefined in a worker. */
export const setupPrimary: Cluster['setupPrimary'];
/** Undefined in a worker. */
export const stats: Cluster['stats'];
/** @deprecated use `setupPrimary` */
export const setupMaster: Cluster['setupMaster'];

export default cluster;
