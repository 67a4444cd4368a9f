'use strict';

const { ChildProcess, fork } = require('node:child_process');
const diagnostics = require('node:diagnostics_channel');
const EventEmitter = require('node:events');
const { constants } = require('node:os');
const { fileURLToPath } = require('node:url');
const { isUint8Array } = require('node:util/types');
const Channel = require('../ipc/channel.js');
const EventContext = require('../event-context.js');
const { nextTick } = require('../real-timers.js');
const emitThen = require('../emit-then.js');
const LoopRef = require('../loop-ref.js');
const errors = require('../errors.js');
const Quota = require('../ipc/quota.js');
const permissions = require('./permissions.js');
const preloading = require('./preloading.js');

const { E2BIG, EACCES, EAGAIN, EBADF, EINVAL, ELOOP, EMFILE } = constants.errno;
const { ENAMETOOLONG, ENFILE, ENOENT, ENOTDIR, EPERM, ESRCH } = constants.errno;

// Loaded now, although only 'advanced' channels use it: the program may replace what it relies on.
require('../ipc/json-safe.js');

const created = diagnostics.channel('child_process');
// Of several names of one signal, Node uses the first.
const signalNames = new Map(
  Object.entries(constants.signals)
    .reverse()
    .map(([name, number]) => [number, name]),
);

// What Node's ChildProcess emits as an 'error' where spawning fails with them, rather than throw.
const EMITTED = new Set([EACCES, EAGAIN, EMFILE, ENFILE, ENOENT].map((errno) => -errno));
// System calls that work on nothing but settings: descriptors, the directory, the user.
const CALLS_ON_SETTINGS = new Set(['dup', 'dup3', 'chdir', 'setgid', 'setuid']);
// Those of macOS that do all in one, and what tells that a setting is to blame.
const COMBINED_CALLS = new Set(['posix_spawn', 'fork']);
const ERRNOS_OF_SETTINGS = new Set(
  [EBADF, EINVAL, ELOOP, ENAMETOOLONG, ENOTDIR, EPERM].map((errno) => -errno),
);

// What the engine takes for a descriptor that is none of ours.
const CLOSED = -1;
const IGNORE = -2;
const PIPE = -3;

/**
 * The `_handle` of a ChildProcess whose process our engine starts. ChildProcess.prototype drives
 * it as it drives Node's own: `spawn`, `kill`, `ref`, `unref`, `close`, `pid`, `onexit`.
 */
class ProcessHandle {
  pid = undefined;
  onexit = null;
  /** Why the process could not be started: `errno` and `syscall`. */
  failure = undefined;
  #ipc = null;
  #engine;
  #id;
  #options;
  #process = null;
  #loopRef = new LoopRef();

  /**
   * @param {object} options
   * @param {number} options.ipcFd the child's descriptor for the IPC channel
   * @param {string} options.serialization
   * @param {number} options.queueTimeout
   * @param {{ errno: number, syscall: string }} [options.failure] why the engine does not run
   */
  constructor(engine, id, options) {
    this.#engine = engine;
    this.#id = id;
    this.#options = options;
  }

  /**
   * Returns 0 or a negated errno. ChildProcess throws for most of them. That is right for what the
   * settings are to blame for; all else that the system refuses is an 'error'.
   */
  spawn(...call) {
    const { file, args, cwd, envPairs, stdio, uid, gid } = spawnOptions(call);
    const { ipcFd, serialization, queueTimeout } = this.#options;
    const lanes = [ipcFd, stdio.length, stdio.length + 1, stdio.length + 2];
    const result =
      this.#options.failure ??
      this.#engine.fork({
        id: this.#id,
        file,
        ...preloading.addTo(args.map(toCString), envPairs, { lanes, serialization }),
        cwd,
        stdio: stdio.map(toDescriptor),
        messageLane: lanes[0],
        controlLane: lanes[1],
        connectionLane: lanes[2],
        memory: lanes[3],
        queueTimeout,
        uid,
        gid,
      });
    if ('errno' in result) {
      // Node reads from them nevertheless, unless there are no descriptors left.
      openPipes(stdio, () => this.#engine.endedPipe());
      return this.#fail(result, file);
    }
    this.#process = result;
    this.#ipc = result.takeLane();
    this.pid = result.pid;
    this.#loopRef.ref();
    openPipes(stdio, (number) => result.takePipe(number));
    return 0;
  }

  /** Whether the engine will say that the worker has left, which it is told hereby. */
  leave() {
    return this.#process !== null && this.#engine.leave(this.#id);
  }

  #fail({ errno, syscall }, file) {
    const isEmitted = EMITTED.has(errno);
    if (!isEmitted && isOfSettings(errno, syscall)) return errno;
    const isNodes = isEmitted && this.#options.failure === undefined;
    this.failure = { errno, syscall: isNodes ? `spawn ${file}` : syscall };
    // The channel of a process that was not started ends at once, as Node's does; without descriptors
    // there is none.
    if (errno !== -EMFILE && errno !== -ENFILE) this.#ipc = this.#engine.endedLane();
    return isEmitted ? errno : -EAGAIN;
  }

  /** The IPC channel; the caller's from now on. */
  takeIpc() {
    const ipc = this.#ipc;
    this.#ipc = null;
    return ipc;
  }

  kill(signal) {
    return this.#process === null ? -ESRCH : this.#process.kill(signal);
  }

  /** Whether this process may not send it signals. */
  get refusesSignals() {
    return this.kill(0) === -EPERM;
  }

  /**
   * The process has ended. Its pid is its own until JavaScript knows of the end, so that `kill()` and
   * `process.kill(pid)` can never signal another process.
   */
  exited(code, signal) {
    this.#process.reap();
    this.onexit(code ?? 0, signalNames.get(signal) ?? null);
  }

  ref() {
    if (this.#process !== null) this.#loopRef.ref();
  }

  unref() {
    this.#loopRef.unref();
  }

  hasRef() {
    return this.#loopRef.hasRef();
  }

  close() {
    this.#loopRef.unref();
  }
}

/** Whether a setting is to blame for what failed, or the length of them all. */
function isOfSettings(errno, syscall) {
  if (errno === -E2BIG || CALLS_ON_SETTINGS.has(syscall)) return true;
  return COMBINED_CALLS.has(syscall) && ERRNOS_OF_SETTINGS.has(errno);
}

/** `take(number)` gives the descriptor of our end, or a negated errno. */
function openPipes(stdio, take) {
  for (const [number, { type, handle }] of stdio.entries()) {
    if (type !== 'pipe' && type !== 'overlapped') continue;
    const fd = take(number);
    if (fd >= 0) handle.open(fd);
  }
}

/** Node 26 passes what older versions pass in one object. */
function spawnOptions([first, args, cwd, envPairs, stdio, _flags, uid, gid]) {
  if (typeof first === 'object') return first;
  return { file: first, args, cwd, envPairs, stdio, uid, gid };
}

function toDescriptor({ type, fd, handle }, number) {
  switch (type) {
    case 'ignore':
      return number > 2 ? CLOSED : IGNORE;
    case 'pipe':
    case 'overlapped':
      return PIPE;
    case 'wrap':
      return handle.fd;
    default:
      return fd;
  }
}

/**
 * A worker's process: a ChildProcess as `child_process.fork()` makes it, on our engine.
 *
 * A process that could not be started emits `'error'` on its ChildProcess on the next tick, and has
 * no channel.
 */
class WorkerProcess {
  /** What users see as `worker.process`. */
  child;
  /** Of what the worker's events are emitted in: that of `cluster.fork()`. */
  context = new EventContext();
  #handle;
  #channel = null;
  #onExiting;
  #hasExited = false;
  /** Waits for the engine to have closed all that the worker was the last to serve. */
  #onLeft = null;
  #leaving = new LoopRef();

  /**
   * @param {object} handlers `onInternalMessage` and `onFault`, as of a Channel, and what is called once, even
   *   if a listener of the event throws:
   * @param {() => void} handlers.onDisconnected after 'disconnect'
   * @param {(code: number | null) => void} handlers.onExiting before 'exit'
   * @param {() => void} handlers.onExited after 'exit', or after the 'error' of a process that could
   *   not be started
   * @throws what `child_process.fork()` throws for options of the wrong type
   */
  constructor(engine, id, settings, env, handlers) {
    validate(settings, env);
    permissions.checkFork();
    preloading.check();
    const { exec, args, execArgv, cwd, serialization, uid, gid, queueTimeout, failure } = settings;
    permissions.copyTo(env, execArgv);
    const stdio = standardStreams(settings);
    const ipcFd = stdio.indexOf('ipc');
    // Its place is ours. Node refuses a second one.
    if (ipcFd === stdio.lastIndexOf('ipc')) stdio[ipcFd] = 'ignore';
    const envPairs = environmentPairs(env);

    this.#handle = new ProcessHandle(engine, id, {
      ipcFd,
      serialization: serialization ?? 'json',
      queueTimeout,
      failure,
    });
    this.#onExiting = handlers.onExiting;
    this.child = makeChildProcess(this.#handle, handlers.onExited);
    const { child } = this;
    child.spawn({
      file: process.execPath,
      args: [process.execPath, ...execArgv, toPath(exec), ...(args ?? [])],
      // An empty one is the primary's.
      cwd: cwd ? toPath(cwd) : undefined,
      envPairs,
      uid: uid ?? undefined,
      gid: gid ?? undefined,
      stdio,
      serialization,
    });
    const ipc = this.#handle.takeIpc();
    if (ipc === null) {
      Channel.showClosed(child);
      return;
    }
    child._closesNeeded += 1;
    // What there is to tell of a process that could not be started is told at once, even to a program that
    // has nothing else to do, and has let go of the channel.
    const untilClosed = new LoopRef();
    if (!this.isStarted) untilClosed.ref();
    const onClosed = () => {
      untilClosed.unref();
      handlers.onDisconnected();
      countClose(child);
    };
    const { context } = this;
    const { onInternalMessage, onFault } = handlers;
    const beforeDisconnect = (callback) => this.#leave(callback);
    this.#channel = new Channel(child, ipc, {
      context,
      mode: serialization ?? 'json',
      refs: 1,
      quota: new Quota(),
      onInternalMessage,
      onFault,
      onClosed,
      beforeDisconnect,
    });
  }

  /** Whether this end has closed the channel, so that nothing more is heard of the worker. */
  get hasLeft() {
    return this.#channel.hasLeft;
  }

  /** Whether there is a process. */
  get isStarted() {
    return this.child.pid !== undefined;
  }

  /** Whether it has, or had, a channel. */
  get hasChannel() {
    return this.#channel !== null;
  }

  /** Whether this process may not send it signals. */
  get refusesSignals() {
    return this.#handle.refusesSignals;
  }

  sendInternal(message) {
    this.#channel?.sendInternal(message);
  }

  /** As `sendInternal`, what the worker has asked for. */
  answer(message) {
    this.#channel?.answer(message);
  }

  /** Sends SIGUSR1, at which Node starts its inspector. A process that has ended needs none. */
  enableInspector() {
    this.#handle.kill(constants.signals.SIGUSR1);
  }

  /** Ends the channel of a worker that broke the protocol; the worker then exits. */
  fail(reason) {
    this.#channel?.fail(reason);
  }

  /** The process has ended. Its last messages come first, then `disconnect`, then `exit`. */
  exited(code, signal) {
    this.#hasExited = true;
    this.#channel.finish(() => {
      this.left();
      // Behind what listeners of 'disconnect' put into the next tick.
      this.context.nextTick(() => {
        this.context.nextTick(this.#onExiting, code);
        this.context.nextTick(() => this.#handle.exited(code, signal));
      });
    });
  }

  /** The engine has closed all that the worker was the last to serve. */
  left() {
    const callback = this.#onLeft;
    this.#onLeft = null;
    this.#leaving.unref();
    callback?.();
  }

  /** The channel is closed. Calls back when the addresses of the worker are free. */
  #leave(callback) {
    // The engine has told of the exit when all was closed.
    if (this.#hasExited || !this.#handle.leave()) {
      callback();
      return;
    }
    // In the context that it has now.
    this.#onLeft = EventContext.bind(callback);
    this.#leaving.ref();
  }
}

/**
 * A ChildProcess with another `_handle`. Its own constructor would make a handle of libuv that can
 * never be freed unless it spawns, so this does what that constructor does (lib/internal/
 * child_process.js in Node). Other than there, a listener that throws does not suppress 'close'.
 */
function makeChildProcess(handle, onExited) {
  const child = Reflect.construct(EventEmitter, [], ChildProcess);
  Object.assign(child, {
    _closesNeeded: 1,
    _closesGot: 0,
    connected: false,
    signalCode: null,
    exitCode: null,
    killed: false,
    spawnfile: null,
    _handle: handle,
  });
  handle.onexit = (code, signal) => {
    if (signal) child.signalCode = signal;
    else child.exitCode = handle.failure?.errno ?? code;
    child.stdin?.destroy();
    child._handle.close();
    child._handle = null;
    emitThen(
      () => emitEnd(child, handle.failure),
      () => {
        onExited();
        nextTick(drainStreams, child);
        countClose(child);
      },
    );
  };
  if (created.hasSubscribers) created.publish({ process: child });
  return child;
}

/** Emits 'exit', or the 'error' of a process that could not be started. */
function emitEnd(child, failure) {
  if (failure === undefined) {
    child.emit('exit', child.exitCode, child.signalCode);
    return;
  }
  const { spawnfile, spawnargs } = child;
  const error = errors.errnoException(failure.errno, failure.syscall);
  child.emit('error', Object.assign(error, { path: spawnfile, spawnargs: spawnargs.slice(1) }));
}

/** Output that nobody reads must not keep the streams from closing. */
function drainStreams({ stdio }) {
  for (const stream of stdio ?? []) {
    // Streams that serve as the stdio of another process are not ours to read.
    const symbols = stream ? Object.getOwnPropertySymbols(stream) : [];
    const lent = symbols.some(({ description }) => description === 'kIsUsedAsStdio');
    if (stream?.readable && !lent) stream.resume();
  }
}

function countClose(child) {
  child._closesGot += 1;
  if (child._closesGot === child._closesNeeded) {
    child.emit('close', child.exitCode, child.signalCode);
  }
}

// What follows checks and completes settings as `child_process.fork()` does.

/** Thrown by the last thing that Node looks at. An object, because Node gives it a stack. */
const ALL_GOOD = {};
const PROBE = new Proxy(
  {},
  {
    has() {
      throw ALL_GOOD;
    },
  },
);

/**
 * Has the running Node check the settings, so that what it throws is its own error. It starts nothing:
 * of all options Node looks at `signal` last, when the others are good, and this one throws.
 */
function validate({ exec, args, execArgv, cwd, stdio, uid, gid, windowsHide }, env) {
  // Node would take an object for the options.
  if (args != null && !Array.isArray(args)) {
    throw errors.invalidArgType('args', 'an instance of Array', args);
  }
  try {
    // It adds to the environment, where permissions are on.
    fork(exec, args, {
      execArgv,
      cwd,
      env: { ...env },
      stdio,
      uid,
      gid,
      windowsHide,
      signal: PROBE,
    });
  } catch (error) {
    if (error !== ALL_GOOD) throw error;
  }
}

/** Of a path that has been found to be good: a string, bytes or a URL. */
function toPath(value) {
  return typeof value === 'string' || isUint8Array(value) ? `${value}` : fileURLToPath(value);
}

/** Of a string Node refuses a null byte; of anything else, what is before it counts. */
function toCString(value) {
  return `${value}`.split('\0', 1)[0];
}

function standardStreams({ stdio, silent }) {
  if (Array.isArray(stdio)) return stdio.slice();
  const all = typeof stdio === 'string' ? stdio : silent ? 'pipe' : 'inherit';
  return all === 'inherit' ? [0, 1, 2, 'ipc'] : [all, all, all, 'ipc'];
}

function environmentPairs(env) {
  const pairs = [];
  // Inherited properties count too.
  for (const name in env) {
    const value = env[name];
    if (value === undefined) continue;
    pairs.push(`${name}=${toCString(value)}`);
  }
  return pairs;
}

module.exports = WorkerProcess;
