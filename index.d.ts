import type { SendHandle } from 'node:child_process';
import type * as node from 'node:cluster';
import type { Socket } from 'node:net';

/**
 * Node's `cluster` module on a Rust engine. Members without a comment work as described in
 * https://nodejs.org/api/cluster.html. The types extend Node's.
 */
declare const cluster: cluster.Cluster;

declare namespace cluster {
  type Address = node.Address;
  /**
   * A worker also emits `'drain'`, without arguments, when `send()` has returned false and everything that
   * was queued has been sent since. `worker.process` emits it too, and so does the global `process` in a
   * worker. In a worker `cluster.worker` emits `'draining'` when the primary has called `drain()`.
   */
  interface Worker extends WorkerEmitter {
    /**
     * Lets the worker finish what it serves, then exit, so that no client loses a request. In the primary
     * only. When the call returns, the worker is out of the rotation: it gets no new connections, and those
     * that it has not begun to serve go to other workers. Its idle HTTP/1 connections stay open, and other
     * workers serve them. The others end when they have been answered, or when their program ends them. What
     * is left after `options.timeout` is cut off: the worker gets `SIGTERM`, and `SIGKILL` after
     * `settings.killTimeout`, even if its event loop or that of the primary is blocked. Sets
     * `exitedAfterDisconnect`.
     *
     * Further calls return the same promise; if their time ends earlier, that applies.
     *
     * @returns a promise that is fulfilled when the worker has exited. It is rejected with a `TypeError`, and
     * the worker goes on as before, if an option is not valid: `ERR_INVALID_ARG_VALUE` for a `timeout` that is
     * not a whole number from 0 to 2147483647, or a `reason` of more than 4096 bytes; `ERR_INVALID_ARG_TYPE`
     * if `options`, `reason` or `handOverIdle` has the wrong type
     */
    drain(options?: DrainOptions): Promise<DrainResult>;
    /**
     * Whether the worker drains, or has drained. In the primary it is true as soon as `drain()` has been
     * called, in the worker just before `'draining'` is emitted.
     */
    isDraining(): boolean;
    /**
     * Keeps a connection with this worker: it is never handed over to another one, because the program keeps
     * state for it. In a worker only. It has no effect on a socket that is not a connection to one of this
     * worker's servers, or on requests that run already.
     *
     * @param socket such as `request.socket`, or the argument of `'connection'`
     * @throws {TypeError} `ERR_INVALID_ARG_TYPE` if it is not a `net.Socket`
     */
    pin(socket: Socket): void;
    /**
     * Takes the worker out of the rotation: it gets no new connections, and those that it has not begun
     * to serve go to other workers. It keeps those that it serves. While all workers are paused, new
     * connections wait. When called in a worker, it takes effect as soon as the primary learns of it. It
     * has no effect under `SCHED_NONE`, or on datagrams, which the workers take themselves.
     */
    pause(): Worker;
    /** Puts the worker back into the rotation. */
    resume(): Worker;
    /**
     * Whether the last call, in the primary or in the worker, was `pause()` rather than `resume()`. A
     * call in the other process counts as soon as this process learns of it.
     */
    isPaused(): boolean;
  }

  /** The options of `worker.drain()`. */
  interface DrainOptions {
    /**
     * How long the worker has to finish what it serves, in milliseconds; what is left then is cut off.
     * @default 30000
     */
    timeout?: number | undefined;
    /** Why the worker drains, for the listeners of `'draining'`; at most 4096 bytes in UTF-8. */
    reason?: string | undefined;
    /**
     * Whether idle HTTP/1 connections go to other workers. Without that they end with the next answer. Use
     * `false` when all workers are to end.
     * @default settings.handOverIdle
     */
    handOverIdle?: boolean | undefined;
  }

  /** How a worker has drained. */
  interface DrainResult {
    /**
     * How many connections the end of the worker has cut off: those with a request that had begun and was
     * not answered, and those of other protocols. Idle connections do not count.
     */
    cut: number;
  }

  /** What the listeners of `'draining'` get. */
  interface DrainingInfo {
    /** The `reason` of `worker.drain()`. */
    reason: string | undefined;
    /** When the connections that are left are cut off, in milliseconds since the epoch, like `Date.now()`. */
    deadline: number;
  }

  /**
   * What `worker.kill()` does in the primary.
   *
   * - `'graceful'`: disconnects the worker, then sends the signal if the worker does not exit by
   *   itself; sets `exitedAfterDisconnect`. This is what Node documented until v16.
   * - `'immediate'`: sends the signal at once. This is what Node does since v16.14.
   */
  type KillMode = 'graceful' | 'immediate';

  interface ClusterSettings extends node.ClusterSettings {
    /**
     * What `worker.kill()` does in the primary.
     * @default 'graceful'; under `rs-cluster/register` 'immediate'
     */
    killMode?: KillMode | undefined;
    /**
     * How long a graceful kill waits for the worker to disconnect and exit, in milliseconds, before it
     * sends the signal anyway. If `kill()` is called several times, the shortest time applies. `SIGKILL`
     * is sent at once.
     * @default 5000
     */
    killTimeout?: number | undefined;
    /**
     * How long connections wait for the next worker of their address, in milliseconds, when the last one
     * leaves or dies before it has taken them. The address is closed, so new connections are refused
     * meanwhile. The waiting connections are closed after this time, or when `cluster.disconnect()` is
     * done. With 0 they are closed at once. The value at the time of a worker's `fork()` applies to that
     * worker. It has no effect under `SCHED_NONE`.
     * @default 5000
     */
    queueTimeout?: number | undefined;
    /**
     * Whether idle HTTP/1 connections of a worker that drains go to other workers. Use `false` if the program
     * keeps state for each connection, and cannot `pin()` those that have it. The value at the time of
     * `drain()` applies, unless that has the option of the same name.
     * @default true
     */
    handOverIdle?: boolean | undefined;
  }

  /** Counts of connections since the listener was bound or the worker was forked. */
  interface ConnectionCounts {
    /** Connections handed over to workers. A connection that was taken back counts again. */
    handedOver: number;
    /**
     * Connections taken back from workers that left, died or were paused before they had begun to serve
     * them.
     */
    reclaimed: number;
    /** Connections taken back from workers whose event loops were blocked. */
    rescued: number;
    /**
     * Connections returned by workers that were closing their server, or had as many as its
     * `maxConnections`.
     */
    returned: number;
    /**
     * Idle connections that workers have left to the engine while they drained, for other workers to serve.
     * One that goes on to a worker is also counted by `handedOver`.
     */
    moved: number;
  }

  /** An address that the engine accepts connections from. */
  interface ListenerStats extends ConnectionCounts {
    /** `127.0.0.1:8000`, `[::]:8000`, or the path of a Unix socket. */
    address: string;
    /** The ids of the workers that serve the address. */
    workers: number[];
    /** Connections accepted by the engine, or by workers from their own sockets. */
    accepted: number;
    /** Connections that wait in the engine, because no worker has room for them. */
    waiting: number;
    /** Idle connections of workers that have drained, which wait in the engine for their clients. */
    parked: number;
    /**
     * How long it took from accepting a connection to handing it over, as 24 counts: the first counts
     * times below 1 µs, the second times from 1 µs to 2 µs, the third from 2 µs to 4 µs, and so on; the
     * last also counts all longer times.
     */
    handoverTimes: number[];
  }

  interface WorkerStats extends ConnectionCounts {
    /** Connections that the worker accepted itself, under `SCHED_REUSEPORT`. */
    accepted: number;
    /** Connections that wait for the worker to take them, or to accept them from its own socket. */
    waiting: number;
    /** Connections that the worker has, including those that wait for it to take them. */
    open: number;
    /** True while the worker receives no connections because its event loop is blocked. */
    stalled: boolean;
  }

  interface Stats {
    /**
     * Listeners in the order in which they were bound. Listeners from which only workers accept are not
     * included.
     */
    listeners: ListenerStats[];
    /** Workers that have not exited, by id. */
    workers: { [id: string]: WorkerStats };
  }

  /** The arguments of the listeners of the primary's events. */
  interface ClusterEvents {
    disconnect: [worker: Worker];
    /** Either `code` or `signal` is `null`, although Node's types do not say so. */
    exit: [worker: Worker, code: number, signal: string];
    fork: [worker: Worker];
    listening: [worker: Worker, address: Address];
    // biome-ignore lint/suspicious/noExplicitAny: whatever was sent, as in Node's types
    message: [worker: Worker, message: any, handle: SendHandle];
    online: [worker: Worker];
    setup: [settings: ClusterSettings];
  }

  /** The arguments of the listeners of a worker's events. */
  interface WorkerEvents {
    disconnect: [];
    drain: [];
    /** In the worker itself only: the primary has called `drain()`. Emitted once. */
    draining: [info: DrainingInfo];
    error: [error: Error];
    /** Either `code` or `signal` is `null`, although Node's types do not say so. */
    exit: [code: number, signal: string];
    listening: [address: Address];
    // biome-ignore lint/suspicious/noExplicitAny: whatever was sent, as in Node's types
    message: [message: any, handle: SendHandle];
    online: [];
  }

  /** Node's worker, with the types of our events. */
  interface WorkerEmitter extends node.Worker {
    // Not members of `Worker` itself: a program that imports that by name imports a type and a class, and
    // TypeScript does not know what `this` is in such a type.
    on: Listen<this, WorkerEvents>;
    once: Listen<this, WorkerEvents>;
    addListener: Listen<this, WorkerEvents>;
    prependListener: Listen<this, WorkerEvents>;
    prependOnceListener: Listen<this, WorkerEvents>;
  }

  /**
   * The type of `on()` and similar methods: those of the module, with our `Worker` in place of the one in
   * Node's types, or those of a worker.
   */
  interface Listen<
    Target,
    // biome-ignore lint/suspicious/noExplicitAny: any arguments
    Events extends { [Event in keyof Events]: any[] } = ClusterEvents,
  > {
    <Event extends keyof Events>(event: Event, listener: (...args: Events[Event]) => void): Target;
    // biome-ignore lint/suspicious/noExplicitAny: as in Node's types
    (event: string | symbol, listener: (...args: any[]) => void): Target;
  }

  interface Cluster extends node.Cluster {
    on: Listen<this>;
    once: Listen<this>;
    addListener: Listen<this>;
    prependListener: Listen<this>;
    prependOnceListener: Listen<this>;
    /** A policy: all workers accept from one socket, and the kernel picks the worker. */
    readonly SCHED_NONE: 1;
    /** A policy: the next worker in turn that has no connection waiting gets the next one. */
    readonly SCHED_RR: 2;
    /**
     * A policy: the worker with the fewest open connections gets the next one; workers with equally many
     * take turns. Use it for connections that last and differ: WebSockets, uploads, keep-alive. With
     * more than 16 workers the policy compares only the next 16 in turn, which is nearly as good.
     */
    readonly SCHED_LEAST_CONNECTIONS: 3;
    /**
     * A policy: the clients of one IP address stay with one worker, as long as it has room for another
     * connection (about a dozen may wait) and has not been stuck for a second. Use it for state that a
     * worker keeps about its clients. When a worker leaves, only its own clients move; a worker that
     * joins takes a share from each of the others. Connections to Unix sockets are distributed in turn.
     */
    readonly SCHED_SOURCE_HASH: 4;
    /**
     * A policy: each worker has its own socket on the port (`SO_REUSEPORT`), and the kernel picks one of
     * them for each connection, by chance. This gives the highest rate, and leaves the primary almost no
     * work. The primary keeps all sockets: when a worker dies, is blocked or is paused, it gives the
     * connections that wait at that worker's socket to other workers, and continues as long as there are
     * fewer workers than there were. Other processes cannot bind the port, but Linux lets a process of
     * the same user join it later with `SO_REUSEPORT`. For `listen({ fd })` and Unix sockets this policy
     * works as `SCHED_RR`.
     */
    readonly SCHED_REUSEPORT: 5;
    /**
     * How connections are distributed to workers: `SCHED_RR`, `SCHED_NONE`, `SCHED_LEAST_CONNECTIONS`,
     * `SCHED_SOURCE_HASH` or `SCHED_REUSEPORT`. The first `fork()` or `setupPrimary()` freezes it.
     * @default the environment variable `NODE_CLUSTER_SCHED_POLICY` (`rr`, `none`, `least-connections`,
     * `source-hash` or `reuseport`), otherwise `SCHED_RR`
     */
    schedulingPolicy: number;
    /** The class of workers. It can be called with or without `new`. */
    readonly Worker: typeof node.Worker;
    /** This process as a `Worker`. In a worker only. */
    readonly worker?: Worker | undefined;
    /** The workers that have not both disconnected and exited, by id. In the primary only. */
    readonly workers?: NodeJS.Dict<Worker>;
    /**
     * Starts a worker, with `env` added to its environment. In the primary only. Errors of settings are
     * thrown; if the system cannot start the process, the worker emits `'error'`.
     */
    fork(env?: object): Worker;
    /** The settings in force; empty until the first `setupPrimary()` or `fork()`. */
    readonly settings: ClusterSettings;
    /**
     * Changes the settings of future forks. In the primary only.
     *
     * @throws {TypeError} `ERR_INVALID_ARG_VALUE` for a bad `handOverIdle`, `killMode`, `killTimeout` or
     * `queueTimeout`, and for `holdTimeout`, the former name of `queueTimeout`
     * @throws {Error} `ERR_INTERNAL_ASSERTION` for a bad `cluster.schedulingPolicy`, which the
     * first call freezes
     */
    setupPrimary(settings?: ClusterSettings): void;
    /**
     * Counts of connections, by listener and by worker. It reads counters and sends no message, so it
     * works while workers are stuck. In the primary only. The result is empty before the first `fork()`.
     * Under `SCHED_NONE` workers accept from one socket, and connections are not counted.
     */
    stats(): Stats;
    /** @deprecated use `setupPrimary` */
    setupMaster(settings?: ClusterSettings): void;
  }
}

export = cluster;
