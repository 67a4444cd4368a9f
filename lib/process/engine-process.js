'use strict';

const { constants } = require('node:os');
const toForkOptions = require('./to-fork-options.js');

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

/** The process of a worker, which the engine starts, or has started. */
class EngineProcess {
  /** Why the process could not be started: `errno` and `syscall`. */
  failure = undefined;
  #engine;
  #id;
  #request;
  #failure;
  /** The engine's WorkerProcess, or its ForkFailure. */
  #result;
  #process = null;
  #ipc = null;

  /**
   * @param {object} request see `spawnRequest()`
   * @param {object} [known] what is known before `start()`
   * @param {{ errno: number, syscall: string }} [known.failure] why the engine does not run
   * @param {WorkerProcess} [known.started] the engine's, of a process that it has started
   */
  constructor(engine, id, request, { failure, started } = {}) {
    this.#engine = engine;
    this.#id = id;
    this.#request = request;
    this.#failure = failure;
    this.#result = started ?? failure;
  }

  get isStarted() {
    return this.#process !== null;
  }

  get pid() {
    return this.#process?.pid;
  }

  /** Starts the process, unless that is done, or fails. Takes what `ChildProcess` gives to its handle. */
  start(spawned) {
    this.#result ??= this.#engine.fork(this.#id, toForkOptions(spawned, this.#request));
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
    const isNodes = isEmitted && this.#failure === undefined;
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
