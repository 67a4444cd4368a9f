import cluster from './index.js';

export type Address = cluster.Address;
export type Cluster = cluster.Cluster;
export type ClusterEvents = cluster.ClusterEvents;
export type ClusterSettings = cluster.ClusterSettings;
export type ConnectionCounts = cluster.ConnectionCounts;
export type ConnectionTotals = cluster.ConnectionTotals;
export type DrainingInfo = cluster.DrainingInfo;
export type DrainOptions = cluster.DrainOptions;
export type DrainResult = cluster.DrainResult;
export type KillMode = cluster.KillMode;
export type Listen<
  Target,
  // biome-ignore lint/suspicious/noExplicitAny: any arguments
  Events extends { [Event in keyof Events]: any[] } = ClusterEvents,
> = cluster.Listen<Target, Events>;
export type LogEntry = cluster.LogEntry;
export type ListenerStats = cluster.ListenerStats;
export type Stats = cluster.Stats;
export type DrainingStatus = cluster.DrainingStatus;
export type ProcessStatus = cluster.ProcessStatus;
export type ReloadOptions = cluster.ReloadOptions;
export type ReloadResult = cluster.ReloadResult;
export type ReplaceReason = cluster.ReplaceReason;
export type SlotStatus = cluster.SlotStatus;
export type Status = cluster.Status;
export type StatusEvent = cluster.StatusEvent;
export type StatusHistory = cluster.StatusHistory;
export type StatusTotals = cluster.StatusTotals;
export type StopOptions = cluster.StopOptions;
export type SuperviseOptions = cluster.SuperviseOptions;
export type Supervisor = cluster.Supervisor;
export type SupervisorError = cluster.SupervisorError;
export type SupervisorEvents = cluster.SupervisorEvents;
export type SupervisorState = cluster.SupervisorState;
export type UpgradeOptions = cluster.UpgradeOptions;
export type UpgradeResult = cluster.UpgradeResult;
export type WorkerBlock = cluster.WorkerBlock;
export type WorkerEmitter = cluster.WorkerEmitter;
export type WorkerEvents = cluster.WorkerEvents;
export type WorkerStats = cluster.WorkerStats;

// The class and the type of its instances have the same name, as in node:cluster.
export type Worker = cluster.Worker;
export const Worker: typeof cluster.Worker;

/** A policy: all workers accept from one socket, and the kernel picks the worker. */
export const SCHED_NONE: Cluster['SCHED_NONE'];
/** A policy: the next worker in turn that has no connection waiting gets the next one. */
export const SCHED_RR: Cluster['SCHED_RR'];
/** A policy: the worker with the fewest open connections gets the next one. */
export const SCHED_LEAST_CONNECTIONS: Cluster['SCHED_LEAST_CONNECTIONS'];
/** A policy: the clients of one IP address stay with one worker. */
export const SCHED_SOURCE_HASH: Cluster['SCHED_SOURCE_HASH'];
/** A policy: each worker has its own socket on the port, and the kernel picks one of them. */
export const SCHED_REUSEPORT: Cluster['SCHED_REUSEPORT'];
/** True in a primary. */
export const isPrimary: boolean;
/** @deprecated use `isPrimary` */
export const isMaster: boolean;
/** True in a worker. */
export const isWorker: boolean;

/** The policy at the time of the import. To choose another, assign it to `cluster`. */
export const schedulingPolicy: number;
/**
 * The settings at the time of the import, usually `{}`. `cluster.settings` has the settings in force.
 * Undefined in a worker.
 */
export const settings: ClusterSettings;
/** The workers that have not both disconnected and exited, by id. Undefined in a worker. */
export const workers: Cluster['workers'];
/** This process as a `Worker`. Undefined in the primary. */
export const worker: Cluster['worker'];

/** Starts a worker. Undefined in a worker. */
export const fork: Cluster['fork'];
/** Disconnects all workers. Undefined in a worker. */
export const disconnect: Cluster['disconnect'];
/** Changes the settings of future forks. Undefined in a worker. */
export const setupPrimary: Cluster['setupPrimary'];
/** Counts of connections, by listener and by worker. Undefined in a worker. */
export const stats: Cluster['stats'];
/** Starts workers and keeps them running. In a worker it throws. */
export const supervise: Cluster['supervise'];
/** @deprecated use `setupPrimary` */
export const setupMaster: Cluster['setupMaster'];

export default cluster;
