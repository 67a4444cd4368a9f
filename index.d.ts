import type { SendHandle } from 'node:child_process';
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
  interface Worker extends node.Worker {
    /**
     * Takes the worker out of the rotation: it gets no new connections, and those it has not begun to
     * serve go to other workers. It keeps those that it serves. While all are paused, new connections
     * wait. In a worker, does it as soon as the primary hears of it. No effect under `SCHED_NONE`, and
     * on datagrams, which the workers take themselves.
     */
    pause(): Worker;
    /** Puts the worker back into the rotation. */
    resume(): Worker;
    /**
     * Whether `pause()` was called, in the primary or in the worker, and `resume()` not since then. What
     * the other process has called counts from when this one hears of it.
     */
    isPaused(): boolean;
  }

  /**
   * What `worker.kill()` of the primary does.
   *
   * - `'graceful'`: disconnects the worker, then sends the signal if the worker does not exit by
   *   itself; sets `exitedAfterDisconnect`. As Node documented it until v16.
   * - `'immediate'`: sends the signal. As Node does it since v16.14.
   */
  type KillMode = 'graceful' | 'immediate';

  interface ClusterSettings extends node.ClusterSettings {
    /** @default 'graceful'; under `rs-cluster/register` 'immediate' */
    killMode?: KillMode | undefined;
    /**
     * How long a graceful kill waits for the worker to disconnect and exit, in milliseconds, before it
     * sends the signal anyway. The shortest of several kills counts. `SIGKILL` never waits.
     * @default 5000
     */
    killTimeout?: number | undefined;
    /**
     * How long connections wait, in milliseconds, when their worker leaves or dies before it has taken
     * them, and no other serves their address: for the next one that does. The address is closed, so new
     * connections are refused meanwhile. Those that wait are closed afterwards, and at once when
     * `cluster.disconnect()` is done. 0: they are closed at once. It is that of the worker, from when it was
     * forked. No effect under `SCHED_NONE`.
     * @default 5000
     */
    holdTimeout?: number | undefined;
  }

  /** Counts of connections, since the listener was bound, or the worker forked. */
  interface ConnectionCounts {
    /** Handed over to workers. One that was taken back counts again. */
    handedOver: number;
    /** Taken back from workers that left, died or were paused, before they had begun to serve them. */
    reclaimed: number;
    /** Taken back from workers whose event loops did not turn. */
    rescued: number;
    /** Given back by workers that were closing their server, or at its `maxConnections`. */
    returned: number;
  }

  /** An address that the engine accepts connections from. */
  interface ListenerStats extends ConnectionCounts {
    /** `127.0.0.1:8000`, `[::]:8000`, or the path of a Unix socket. */
    address: string;
    /** The ids of the workers that serve it. */
    workers: number[];
    /** Connections accepted, by the engine, or by workers from sockets of their own. */
    accepted: number;
    /** Connections that wait in the engine, because no worker has room for them. */
    waiting: number;
    /**
     * How long it took from accepting a connection to handing it over: 24 counts, the first of times
     * below 1 µs, each other one of times not below those of the one before it and below twice as
     * much (2 µs, 4 µs, 8 µs, …), the last also of all longer ones.
     */
    handoverTimes: number[];
  }

  interface WorkerStats extends ConnectionCounts {
    /** Connections that it accepted itself, under `SCHED_REUSEPORT`. */
    accepted: number;
    /** Connections that wait for the worker to take them, or to accept them from its own socket. */
    waiting: number;
    /** Connections that the worker has, those that wait for it to take them among them. */
    open: number;
    /** Whether it gets none because its event loop does not turn. */
    stalled: boolean;
  }

  interface Stats {
    /** In the order in which they were bound; without those of which workers accept themselves. */
    listeners: ListenerStats[];
    /** Workers that have not exited, by id. */
    workers: { [id: string]: WorkerStats };
  }

  /** What the listeners of the primary's events are called with. */
  interface ClusterEvents {
    disconnect: [worker: Worker];
    /** One of `code` and `signal` is `null`, whatever Node's types say. */
    exit: [worker: Worker, code: number, signal: string];
    fork: [worker: Worker];
    listening: [worker: Worker, address: Address];
    // biome-ignore lint/suspicious/noExplicitAny: whatever was sent, as in Node's types
    message: [worker: Worker, message: any, handle: SendHandle];
    online: [worker: Worker];
    setup: [settings: ClusterSettings];
  }

  /** `on()` and its like: with workers of ours where Node's types have workers of Node's. */
  interface Listen<Target> {
    <Event extends keyof ClusterEvents>(
      event: Event,
      listener: (...args: ClusterEvents[Event]) => void,
    ): Target;
    // biome-ignore lint/suspicious/noExplicitAny: as in Node's types
    (event: string | symbol, listener: (...args: any[]) => void): Target;
  }

  interface Cluster extends node.Cluster {
    on: Listen<this>;
    once: Listen<this>;
    addListener: Listen<this>;
    prependListener: Listen<this>;
    prependOnceListener: Listen<this>;
    /** A policy: all workers accept from one socket, and the kernel decides. */
    readonly SCHED_NONE: 1;
    /** A policy: the next worker in turn that has nothing waiting. */
    readonly SCHED_RR: 2;
    /**
     * A policy: the worker with the fewest open connections gets the next one, those with equally
     * many in turn. For connections that last and differ: WebSockets, uploads, keep-alive. Of more than
     * 16 workers only the next 16 in turn are compared, which does nearly as well.
     */
    readonly SCHED_LEAST_CONNECTIONS: 3;
    /**
     * A policy: the clients of one IP address stay with one worker, as long as it has room for
     * another (a dozen may wait) and has not been stuck for a second. For state that a worker keeps
     * about its clients. When a worker leaves, only its own clients move; one that joins takes a share
     * from each of the others. Connections to Unix sockets take turns.
     */
    readonly SCHED_SOURCE_HASH: 4;
    /**
     * A policy: each worker has a socket of its own on the port (`SO_REUSEPORT`), and the kernel chooses
     * one of them for each connection, by chance. The greatest rate, and nothing to do for the
     * primary, which keeps all sockets: what waits at the one of a worker that dies, is blocked or
     * paused goes to others (by the primary, as long as there are fewer workers than there were), and the port
     * is in use for everybody else (though Linux lets a process of
     * the same user join that asks for `SO_REUSEPORT` later). As `SCHED_RR` for `listen({ fd })` and
     * Unix sockets.
     */
    readonly SCHED_REUSEPORT: 5;
    /**
     * How connections get to workers: `SCHED_RR`, `SCHED_NONE`, `SCHED_LEAST_CONNECTIONS`,
     * `SCHED_SOURCE_HASH` or `SCHED_REUSEPORT`. The first `fork()` or `setupPrimary()` freezes it.
     * @default by the environment variable `NODE_CLUSTER_SCHED_POLICY`: `'rr'`, `'none'`,
     * `'least-connections'`, `'source-hash'` or `'reuseport'`; otherwise `SCHED_RR`
     */
    schedulingPolicy: number;
    /** Can be called with and without `new`. */
    readonly Worker: typeof node.Worker;
    /** In a worker only: itself. */
    readonly worker?: Worker | undefined;
    /** In the primary only: those that have not both disconnected and exited, by id. */
    readonly workers?: NodeJS.Dict<Worker>;
    /** Starts a worker, with `env` added to its environment. In the primary only. */
    fork(env?: object): Worker;
    /** Empty until the first `setupPrimary()` or `fork()`; then the settings in force. */
    readonly settings: ClusterSettings;
    /**
     * Changes the settings of future forks. In the primary only.
     *
     * @throws {TypeError} `ERR_INVALID_ARG_VALUE` for a bad `killMode`, `killTimeout` or `holdTimeout`
     * @throws {Error} `ERR_INTERNAL_ASSERTION` for a bad `cluster.schedulingPolicy`, which the
     * first call freezes
     */
    setupPrimary(settings?: ClusterSettings): void;
    /**
     * What the engine knows of connections now, also while workers are stuck. Costs no message, and
     * waits for nothing. In the primary only. All is empty before the first `fork()`; under `SCHED_NONE` workers accept from one socket and nothing is counted.
     */
    stats(): Stats;
    /** @deprecated use `setupPrimary` */
    setupMaster(settings?: ClusterSettings): void;
  }
}

export = cluster;
