import type * as node from 'node:cluster';

/**
 * Node's `cluster` module on a Rust engine. Everything that is not documented here is as in
 * https://nodejs.org/api/cluster.html, whose types it extends.
 */
declare const cluster: cluster.Cluster;

declare namespace cluster {
  type Address = node.Address;
  /**
   * Emits `'drain'` as well, without arguments: after `send()` has returned false, when all that was
   * queued has been sent. So do `worker.process`, and in a worker the global `process`.
   */
  type Worker = node.Worker;

  /**
   * What `worker.kill()` of the primary does.
   *
   * - `'graceful'`: disconnects the worker, then sends the signal; sets `exitedAfterDisconnect`. As
   *   Node documented it until v16.
   * - `'immediate'`: sends the signal. As Node does it since v16.14.
   */
  type KillMode = 'graceful' | 'immediate';

  interface ClusterSettings extends node.ClusterSettings {
    /** @default 'graceful'; under `rs-cluster/register` 'immediate' */
    killMode?: KillMode | undefined;
    /**
     * How long a graceful kill waits for the worker to disconnect, in milliseconds, before it sends
     * the signal anyway. `SIGKILL` never waits.
     * @default 5000
     */
    killTimeout?: number | undefined;
  }

  interface Cluster extends node.Cluster {
    /** Can be called with and without `new`. */
    readonly Worker: typeof node.Worker;
    /** Empty until the first `setupPrimary()` or `fork()`; then the settings in force. */
    readonly settings: ClusterSettings;
    /**
     * Changes the settings of future forks. In the primary only.
     *
     * @throws {TypeError} `ERR_INVALID_ARG_VALUE` for a bad `killMode` or `killTimeout`
     * @throws {Error} `ERR_INTERNAL_ASSERTION` for a bad `cluster.schedulingPolicy`, which the
     * first call freezes
     */
    setupPrimary(settings?: ClusterSettings): void;
    /** @deprecated use `setupPrimary` */
    setupMaster(settings?: ClusterSettings): void;
  }
}

export = cluster;
