import type { SendHandle } from 'node:child_process';
import type * as node from 'node:cluster';
import type { EventEmitter } from 'node:events';
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
     * Says that the worker is ready: it can serve. In a worker only. It has an effect if the worker is
     * supervised with `readyWhen: 'ready'`; further calls have none. `process.send('ready')` does the same.
     */
    ready(): void;
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

  /**
   * The options of `cluster.supervise()`. Times are in milliseconds, whole numbers up to 2147483647. Settings that
   * are not given are those of `setupPrimary()` at the time of the call.
   */
  interface SuperviseOptions extends ClusterSettings {
    /**
     * How many workers to run, from 1 to 4096. `'auto'`: as many as there are processors that the process may
     * use, by its affinity and the quota of its control group, or as the environment variable `WEB_CONCURRENCY`
     * says.
     * @default 'auto'
     */
    workers?: number | 'auto' | undefined;
    /**
     * The directory in which the program lives, and in which workers start. It may be a link; each reload follows
     * it anew. A program (`exec`, `cwd`) given by an absolute path below it moves with it.
     * @default `$PWD` if that is the working directory, otherwise `process.cwd()`
     */
    directory?: string | undefined;
    /**
     * Variables on top of the environment of the primary. A function is called for each reload, not for each
     * worker.
     */
    env?: object | (() => object) | undefined;
    /**
     * When a worker is ready: when it listens on all addresses, or when it calls `cluster.worker.ready()` or
     * `process.send('ready')`.
     * @default 'listening'
     */
    readyWhen?: 'listening' | 'ready' | undefined;
    /**
     * How long a worker may take to get ready, from 1.
     * @default 60000
     */
    readyTimeout?: number | undefined;
    /**
     * How long a worker has to live after it is ready. One that ends before has failed to start. The first worker
     * of a reload gets no connections in that time, and no worker is replaced before it is over. A worker that has
     * reached a limit serves until its successor has lived for so long.
     * @default 1000
     */
    minUptime?: number | undefined;
    /**
     * How many workers, beyond `workers`, may be starting or ready while others are replaced. With 0 a worker has
     * to leave before the next one starts; then there have to be at least two.
     * @default 1
     */
    maxSurge?: number | undefined;
    /**
     * How long a worker that leaves has to finish what it serves; what is left then is cut off.
     * @default 30000
     */
    drainTimeout?: number | undefined;
    /**
     * How long workers go on serving after `stop()` has been called, for load balancers to learn of it.
     * @default 5000 if the environment has `KUBERNETES_SERVICE_HOST`, otherwise 0
     */
    shutdownDelay?: number | undefined;
    /**
     * How many generations may drain, from 1. Workers of older ones are cut off.
     * @default 3
     */
    maxGenerations?: number | undefined;
    /**
     * How long to wait before a worker that has failed is replaced. Each further failure makes it 1.5 times as
     * long; 30 s without one starts anew.
     * @default 100
     */
    restartDelay?: number | undefined;
    /**
     * The longest such wait, give or take 20 %. Not less than `restartDelay`.
     * @default 15000, or `restartDelay` if that is longer
     */
    maxRestartDelay?: number | undefined;
    /**
     * How often a worker may fail and be replaced, for each slot: in all, or within a time. A slot that has failed
     * more often stays empty until a reload or `restart()`.
     * @default Infinity
     */
    maxRestarts?: number | { count: number; within: number } | undefined;
    /**
     * For how long the event loop of a worker may be blocked before the worker is replaced and killed. 0: for ever.
     * @default 60000
     */
    hungTimeout?: number | undefined;
    /**
     * For how long it may be blocked before `'blocked'` reports it. 0: it is not reported.
     * @default 0
     */
    blockedTimeout?: number | undefined;
    /**
     * How much resident memory a worker may have before it is replaced: bytes, or a size such as `'512M'` or
     * `'1.5G'`, in powers of 1024. 0: any.
     * @default 0
     */
    maxMemory?: number | string | undefined;
    /**
     * For how long a worker may live before it is replaced. 0: for ever.
     * @default 0
     */
    maxAge?: number | undefined;
    /**
     * How many HTTP requests a worker may serve before it is replaced; for servers without HTTP, how many
     * connections. 0: any number.
     * @default 0
     */
    maxRequests?: number | undefined;
    /**
     * By how much these three limits differ from worker to worker, as a part of 1: so they are not reached at the
     * same time.
     * @default 0.1
     */
    jitter?: number | undefined;
    /**
     * Whether signals to the primary do what they do to a server: `SIGHUP` reloads, or stops if there is a
     * terminal; `SIGTERM` and `SIGINT` stop, after which the primary ends, `killTimeout` later even if the program
     * keeps it running; `SIGQUIT`, and another `SIGINT` 500 ms after the first, end everything at once; without a
     * terminal, `SIGTTIN` and `SIGTTOU` start one worker more and end one.
     * @default true
     */
    signals?: boolean | undefined;
    /**
     * What operators call the program: 1 to 64 letters, digits, dots, hyphens and underscores. Two programs that are
     * given the same name cannot run at the same time.
     * @default the name in the nearest package.json without the scope, or else that of the program's file
     */
    name?: string | undefined;
    /**
     * The path of the control socket, on which the command line asks. Only the user of the primary, and root, can
     * use it. `false`: there is none.
     * @default `NAME.sock` in the first of these directories that can be used: `$RUNTIME_DIRECTORY`,
     * `$XDG_RUNTIME_DIR/rs-cluster`, `rs-cluster-UID` in `os.tmpdir()`. If `name` is not given either, and the
     * name is taken, `NAME-2.sock`, and so on
     */
    control?: string | false | undefined;
    /**
     * Where the admin endpoint listens: metrics, probes, status and a page, which show everything and change
     * nothing. A port of 127.0.0.1, an address such as `'0.0.0.0:9100'` or `'[::1]:9100'`, or a path; port 0: any.
     * @default false
     */
    admin?: number | string | false | undefined;
    /**
     * Writes a line for each event to stderr: text for people, or JSON. A function gets the entries instead.
     * @default false
     */
    log?: 'text' | 'json' | false | ((entry: LogEntry) => void) | undefined;
    /**
     * Whether systemd, or another service manager that sets `NOTIFY_SOCKET`, is told when the service is ready,
     * reloads and stops, what its workers do, and for `WATCHDOG_USEC` that the engine turns; and whether sockets
     * that it gives by `LISTEN_FDS` serve workers which listen on their addresses, and it stores others (`FDSTORE`),
     * so that they outlive a crash of the primary. Removes these variables from `process.env` and from the
     * environment of workers. Does nothing without them.
     * @default true
     */
    systemd?: boolean | undefined;
  }

  /**
   * - `'starting'`: the first workers are not all ready yet.
   * - `'ready'`: no operation is running. Workers may be about to be replaced.
   * - `'reloading'`: a reload is running.
   * - `'upgrading'`: another primary is about to take over.
   * - `'stopping'`: the workers are to leave.
   * - `'failed'`: every slot has failed more often than `maxRestarts` allows.
   * - `'stopped'`: all workers have exited.
   */
  type SupervisorState =
    | 'starting'
    | 'ready'
    | 'reloading'
    | 'upgrading'
    | 'stopping'
    | 'failed'
    | 'stopped';

  /**
   * What keeps the workers of one program running. Promises are rejected with a `SupervisorError`, or with Node's
   * errors for arguments of the wrong type or out of range.
   */
  interface Supervisor extends EventEmitter {
    on: Listen<this, SupervisorEvents>;
    once: Listen<this, SupervisorEvents>;
    addListener: Listen<this, SupervisorEvents>;
    prependListener: Listen<this, SupervisorEvents>;
    prependOnceListener: Listen<this, SupervisorEvents>;
    readonly state: SupervisorState;
    /** The number of the program's version that is in force: 1 at first, one more for each reload and upgrade. */
    readonly generation: number;
    /** Waits until all workers of the first generation are ready. */
    ready(): Promise<void>;
    /**
     * Replaces all workers, each before it leaves, by workers that run the program as it is now. If one of them
     * fails, the old version stays in force, and the promise is rejected when it serves in all slots again. Calls
     * during a reload become one, which begins after it, with the options of the last.
     */
    reload(options?: ReloadOptions): Promise<ReloadResult>;
    /**
     * Starts another primary, by the command that has started this one, and lets it take over: its own workers start
     * beside those that serve, and when they are well, it gets all sockets and connections. Then the workers of this
     * primary drain, and this process ends, unless it has to stay for what has started it. If the new primary fails
     * before it has taken over, this one goes on, and the promise is rejected.
     */
    upgrade(options?: UpgradeOptions): Promise<UpgradeResult>;
    /**
     * Changes the number of workers. More: waits until the new ones are ready; if one of them fails, there are as
     * many as before. Fewer: those of the highest slots drain, and the promise does not wait for that.
     *
     * @returns the number of workers
     */
    scale(workers: number | 'auto' | `+${number}` | `-${number}`): Promise<number>;
    /**
     * Replaces one worker, and waits until the new one is ready.
     *
     * @param slotOrId the slot, if it is less than the number of workers; otherwise the id of a worker
     */
    restart(slotOrId: number): Promise<void>;
    /** Lets no worker be replaced, except by `reload()` and `restart()`, until `release()` is called. */
    hold(): void;
    release(): void;
    /**
     * Waits for `shutdownDelay`, lets all workers drain, and waits until they have exited. An operation that is
     * running ends with an error.
     */
    stop(options?: StopOptions): Promise<void>;
    /** What there is at this moment, also while workers are stuck. */
    status(): Status;
    [Symbol.asyncDispose](): Promise<void>;
  }

  /** What the option `log` tells of an event. Its other properties depend on the event: see the API reference. */
  interface LogEntry {
    /** As `Date.prototype.toISOString()` returns it. */
    time: string;
    level: 'info' | 'warn' | 'error';
    event:
      | 'backoff'
      | 'blocked'
      | 'cut'
      | 'draining'
      | 'exit'
      | 'failed'
      | 'hung'
      | 'ready'
      | 'rejected'
      | 'reload'
      | 'replace'
      | 'state'
      | 'stopped'
      | 'successorExit'
      | 'takeover'
      | 'upgrade'
      | 'warning';
    /** The text for people, in one line. */
    message: string;
    [property: string]: unknown;
  }

  interface ReloadOptions {
    /** In place of the option `env` of `supervise()`, from this reload on. */
    env?: object | undefined;
    /** Ends the wait for the reload with an `AbortError`. The reload itself goes on. */
    signal?: AbortSignal | undefined;
  }

  interface ReloadResult {
    generation: number;
    /** How long it took. */
    ms: number;
  }

  /** What differs from the command that has started the primary. */
  interface UpgradeOptions {
    /**
     * Where the program lives. Paths of the command line below the current directory of it lead there.
     * @default the option `directory` of `supervise()`, resolved anew
     */
    directory?: string | undefined;
    /**
     * Node: a path, or a name to look up in `$PATH`.
     * @default what the command that has started the primary finds now; otherwise `process.execPath`
     */
    execPath?: string | undefined;
    /**
     * Options of Node.
     * @default process.execArgv
     */
    execArgv?: string[] | undefined;
    /**
     * The program of the primary, and its arguments.
     * @default process.argv.slice(1)
     */
    args?: string[] | undefined;
    /** Added to the environment of the primary; undefined removes a variable. */
    env?: object | undefined;
    /**
     * How long it may take until the new primary serves.
     * @default 120_000
     */
    timeout?: number | undefined;
  }

  interface UpgradeResult {
    /** The process of the new primary. */
    pid: number;
    /** Of its workers. */
    generation: number;
    /** How long it took. */
    ms: number;
  }

  interface StopOptions {
    /**
     * How long the workers have to finish what they serve.
     * @default the option `drainTimeout` of `supervise()`
     */
    timeout?: number | undefined;
  }

  /** Why a promise of a supervisor is rejected. What is not known is undefined. */
  interface SupervisorError extends Error {
    /**
     * - `ERR_RS_CLUSTER_WORKER_EXITED`: a worker has exited too early.
     * - `ERR_RS_CLUSTER_READY_TIMEOUT`: a worker was not ready within `readyTimeout`.
     * - `ERR_RS_CLUSTER_WORKER_NOT_STARTED`: the system could not start a worker, or there was nothing to start
     *   it by: no directory, or no `env`.
     * - `ERR_RS_CLUSTER_WORKER_HUNG`: a worker was blocked for `hungTimeout`.
     * - `ERR_RS_CLUSTER_WORKER_MEMORY`: a worker had more than `maxMemory`.
     * - `ERR_RS_CLUSTER_NO_SUCH_WORKER`: `restart()` was given neither a slot nor the id of a worker.
     * - `ERR_RS_CLUSTER_UPGRADE_FAILED`: the new primary has not taken over, or there was nothing to start it by.
     * - `ERR_RS_CLUSTER_BUSY`: `upgrade()` was called during another operation, or after every slot has failed.
     * - `ERR_RS_CLUSTER_UPGRADED`: another primary has taken over.
     * - `ERR_RS_CLUSTER_FAILED`: every slot has failed.
     * - `ERR_RS_CLUSTER_SUPERVISOR_STOPPED`: the supervisor stops, or has stopped.
     */
    code: string;
    /** The id of the worker that has failed. */
    worker?: number | undefined;
    slot?: number | undefined;
    /**
     * When it failed: before it was ready, after that, as the first of its generation within `minUptime`, or while
     * it drained. Of an upgrade: when the new primary was started (`'start'`), before it had called `supervise()`
     * (`'handshake'`), before its workers were well (`'ready'`), or when it took over (`'commit'`).
     */
    phase?: 'start' | 'ready' | 'canary' | 'drain' | 'handshake' | 'commit' | undefined;
    exitCode?: number | undefined;
    /** The name of the signal that has ended it. */
    signal?: string | undefined;
    /** Why the new primary gives up, in its own words. For `ERR_RS_CLUSTER_UPGRADE_FAILED`. */
    reason?: string | undefined;
    /** The last 4096 bytes that it has written to its stderr, unless that goes elsewhere by `stdio` or `silent`. */
    stderr?: string | undefined;
    /** The addresses that it does not listen on. For `ERR_RS_CLUSTER_READY_TIMEOUT`. */
    missing?: string[] | undefined;
    /** Negated, and of the system call that has failed. */
    errno?: number | undefined;
    syscall?: string | undefined;
    cause?: unknown;
  }

  /** Why a worker has been replaced. `'ended'`: by `kill()`, `disconnect()` or `drain()`. */
  type ReplaceReason =
    | 'reload'
    | 'rollback'
    | 'restart'
    | 'crash'
    | 'hung'
    | 'memory'
    | 'age'
    | 'requests'
    | 'ended'
    | 'scale'
    | 'start';

  /** The arguments of the listeners of a supervisor's events. */
  interface SupervisorEvents {
    /** The event loop of a worker has been blocked for `blockedTimeout`. At most once a second for each worker. */
    blocked: [block: WorkerBlock];
    /** A worker is to start after `delay` milliseconds, because `failures` in a row have failed in this slot. */
    backoff: [info: { slot: number; delay: number; failures: number }];
    /** The end of a worker has cut off connections, because the time to drain was over. */
    cut: [info: { worker: Worker; connections: number }];
    draining: [info: { worker: Worker; reason: string }];
    failed: [info: { reason: string }];
    /** The event loop of a worker has been blocked for `hungTimeout`. The worker is going to be killed. */
    hung: [block: WorkerBlock];
    ready: [];
    reload: [result: ReloadResult];
    /** `to`, the id of a worker, is ready in the place of `from`, which is null if the slot was empty. */
    replace: [info: { slot: number; from: number | null; to: number; reason: ReplaceReason }];
    stopped: [];
    /** Another primary has taken over. This one only lets its workers drain. */
    upgrade: [result: UpgradeResult];
  }

  interface WorkerBlock {
    worker: Worker;
    /** For how long it has been blocked. */
    ms: number;
    /**
     * The JavaScript stack at which it is, one `at name (file:line:column)` a line. Null if Node does not tell.
     */
    stack: string | null;
  }

  interface ProcessStatus {
    /** Resident, in bytes; null if it is not known. */
    memory: number | null;
    /** Milliseconds of processor time that the process has had; null if it is not known. */
    cpu: number | null;
    /** True while the event loop is known to be blocked, whether or not connections wait for the worker. */
    stalled: boolean;
    /** As in `WorkerStats`. */
    open: number;
    waiting: number;
    handedOver: number;
    accepted: number;
  }

  interface SlotStatus extends ProcessStatus {
    slot: number;
    state: 'empty' | 'starting' | 'ready' | 'waiting' | 'failed';
    /** The id of the worker; null if there is none. */
    worker: number | null;
    pid: number | null;
    generation: number | null;
    /** Milliseconds since it was ready. */
    uptime: number | null;
    /** How often in a row a worker has failed here. */
    failures: number;
    /** How many workers have been started here after the first. Never goes down. */
    restarts: number;
    /** Milliseconds until the next worker starts, in state `'waiting'`. */
    nextStart: number | null;
    /** The counts of all workers that this slot has had. They never go down. */
    total: ConnectionTotals;
  }

  /** Counts of connections that never go down. */
  interface ConnectionTotals extends ConnectionCounts {
    /** Accepted: for a slot by its workers, under `SCHED_REUSEPORT`; otherwise by the engine as well. */
    accepted: number;
  }

  interface DrainingStatus extends ProcessStatus {
    worker: number;
    pid: number;
    slot: number;
    generation: number;
    /** Why it leaves. */
    reason: ReplaceReason | 'stop' | 'upgrade' | null;
    /** For how many milliseconds it has been leaving. */
    since: number | null;
  }

  interface StatusTotals extends ConnectionTotals {
    /** The restarts of all slots. */
    restarts: number;
    /** Connections that the ends of workers have cut off. */
    cut: number;
    /** Reloads that have replaced all workers. */
    reloads: number;
    /** Reloads that have failed. */
    reloadsFailed: number;
    /** Workers that were replaced because they hung. */
    hung: number;
    /** How often a worker was reported as blocked. */
    blocked: number;
  }

  /** Something that has happened, with the fields of the supervisor's event of this type. Workers are ids. */
  interface StatusEvent {
    /** Milliseconds since 1970. */
    time: number;
    /** An event of the supervisor, `'state'`, `'exit'`, or `'rejected'`: an operation has failed. */
    type: keyof SupervisorEvents | 'state' | 'exit' | 'rejected' | 'successorExit' | 'takeover';
    [field: string]: unknown;
  }

  /** The last two minutes, oldest second first. */
  interface StatusHistory {
    /** Milliseconds from one number to the next. */
    interval: number;
    /** Connections accepted in each second. */
    accepted: number[];
    /** Half of the connections were handed over within so many microseconds; null if none was. */
    p50: (number | null)[];
    /** 99 % of them were. */
    p99: (number | null)[];
  }

  interface Status {
    /** The option `name`. */
    name: string;
    /** Of the primary. */
    pid: number;
    /** Of this package. */
    version: string;
    /** `process.version`. */
    node: string;
    state: SupervisorState;
    /** As `/readyz` has it: a worker is ready whose event loop turns, and the supervisor does not stop. */
    ready: boolean;
    generation: number;
    /** Whether `hold()` is in force. */
    held: boolean;
    /** How many workers there are to be. */
    workers: number;
    /** Milliseconds since `supervise()` was called. */
    uptime: number;
    /** When that was, in milliseconds since 1970. */
    started: number;
    /** The time of this status, in milliseconds since 1970. */
    now: number;
    /** The path of the control socket. */
    control: string | null;
    /** The address of the admin endpoint: `127.0.0.1:9100`, or a path. */
    admin: string | null;
    slots: SlotStatus[];
    draining: DrainingStatus[];
    /** Where event loops have been blocked for `blockedTimeout`. */
    blocked: { at: string; count: number; ms: number }[];
    /** As in `Stats`, but the counts go on when an address is bound again, and never go down. */
    listeners: ListenerStats[];
    totals: StatusTotals;
    /** The last 50 events, oldest first. */
    events: StatusEvent[];
    history: StatusHistory;
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
     * Starts workers and keeps them running: see `Supervisor`. Once, and in the primary only. The primary runs as
     * long as the supervisor, and ends with exit code 1 if that fails.
     *
     * @throws `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE` or `ERR_OUT_OF_RANGE` for an option, named by the
     * message; `ERR_INVALID_RETURN_VALUE` or what it throws for `env()`; an error of the system if there is no such
     * directory, or the admin endpoint cannot listen; `ERR_RS_CLUSTER_CONTROL_IN_USE`, `ERR_RS_CLUSTER_CONTROL` or
     * `ERR_RS_CLUSTER_ADMIN_IN_USE` if their places are taken; `ERR_RS_CLUSTER_SUPERVISED` if it has been called before; `ERR_RS_CLUSTER_NOT_PRIMARY` in a worker
     */
    supervise(options?: SuperviseOptions): Supervisor;
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
