'use strict';

const { constants } = require('node:os');
const { toCString } = require('../node/fork-options.js');
const preloading = require('./preloading.js');

const { E2BIG, EACCES, EAGAIN, EBADF, EINVAL, ELOOP, EMFILE } = constants.errno;
const { ENAMETOOLONG, ENFILE, ENOENT, ENOTDIR, EPERM, ESRCH } = constants.errno;

// Errors with which Node's ChildProcess emits 'error', rather than throw.
const EMITTED = new Set([EACCES, EAGAIN, EMFILE, ENFILE, ENOENT].map((errno) => -errno));
// System calls that depend on settings alone: descriptors, the directory, the user.
const CALLS_ON_SETTINGS = new Set(['dup', 'dup3', 'chdir', 'setgid', 'setuid']);
// Those of macOS that do everything at once, and the errors with which a setting is to blame.
const COMBINED_CALLS = new Set(['posix_spawn', 'fork']);
const ERRNOS_OF_SETTINGS = new Set(
  [EBADF, EINVAL, ELOOP, ENAMETOOLONG, ENOTDIR, EPERM].map((errno) => -errno),
);

/** The process of a worker, which the engine starts. */
class EngineProcess {
  /** Why the process could not be started: `errno` and `syscall`. */
  failure = undefined;
  #engine;
  #id;
  #options;
  /** The engine's WorkerProcess, or its ForkFailure. */
  #result;
  #process = null;
  #ipc = null;

  /**
   * @param {object} options
   * @param {number} options.ipcFd the child's descriptor for the IPC channel
   * @param {'json' | 'advanced'} options.serialization
   * @param {number} options.queueTimeout
   * @param {{ errno: number, syscall: string }} [options.failure] why the engine does not run
   */
  constructor(engine, id, options) {
    this.#engine = engine;
    this.#id = id;
    this.#options = options;
  }

  get isStarted() {
    return this.#process !== null;
  }

  get pid() {
    return this.#process?.pid;
  }

  /**
   * Starts the process, or fails.
   *
   * @param {number[]} stdio for each descriptor of the child, that of this process, or what the engine takes
   *   for one that is closed, ignored or a pipe
   */
  start({ file, args, cwd, envPairs, stdio, uid, gid }) {
    const { ipcFd, serialization, queueTimeout, failure } = this.#options;
    const lanes = [ipcFd, stdio.length, stdio.length + 1, stdio.length + 2];
    this.#result =
      failure ??
      this.#engine.fork(this.#id, {
        file,
        ...preloading.addTo(args.map(toCString), envPairs, { lanes, serialization }),
        cwd,
        stdio,
        ipcChannel: lanes[0],
        controlSocket: lanes[1],
        handOffQueue: lanes[2],
        memory: lanes[3],
        queueTimeout,
        uid,
        gid,
      });
    if ('errno' in this.#result) return;
    this.#process = this.#result;
    this.#ipc = this.#result.takeChannel();
  }

  /**
   * Called if the process was not started. Returns the negated errno that ChildProcess gets. It throws for
   * most of them. That is right where the settings are to blame; any other refusal of the system is an
   * 'error', which `failure` has.
   */
  fail(file) {
    const { errno, syscall } = this.#result;
    const isEmitted = EMITTED.has(errno);
    if (!isEmitted && isOfSettings(errno, syscall)) return errno;
    const isNodes = isEmitted && this.#options.failure === undefined;
    this.failure = { errno, syscall: isNodes ? `spawn ${file}` : syscall };
    // As in Node, the channel of a process that was not started ends at once. Without descriptors there is
    // none.
    if (errno !== -EMFILE && errno !== -ENFILE) this.#ipc = this.#engine.endedChannel();
    return isEmitted ? errno : -EAGAIN;
  }

  /** Our end of a pipe, or a negated errno. It ends at once if the process was not started. */
  takePipe(number) {
    return this.#process === null ? this.#engine.endedPipe() : this.#process.takePipe(number);
  }

  /** Our end of the IPC channel, for the caller to close; null if there is none. */
  takeIpc() {
    const ipc = this.#ipc;
    this.#ipc = null;
    return ipc;
  }

  /** Returns 0 or a negated errno. */
  kill(signal) {
    return this.#process === null ? -ESRCH : this.#process.kill(signal);
  }

  /** Whether this process may not send it signals. */
  get refusesSignals() {
    return this.kill(0) === -EPERM;
  }

  /**
   * Tells the engine that the worker has left. Returns whether the engine will report that it has closed all.
   */
  leave() {
    return this.#process !== null && this.#engine.leave(this.#id);
  }

  /**
   * The process has ended. Its pid stays its own until now, so that `kill()` and `process.kill(pid)` never
   * signal another process.
   */
  reap() {
    this.#process.reap();
  }
}

/** Whether the settings are to blame for what failed, one of them or their total length. */
function isOfSettings(errno, syscall) {
  if (errno === -E2BIG || CALLS_ON_SETTINGS.has(syscall)) return true;
  return COMBINED_CALLS.has(syscall) && ERRNOS_OF_SETTINGS.has(errno);
}

module.exports = EngineProcess;
