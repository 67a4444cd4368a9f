'use strict';

// ChildProcess, as lib/internal/child_process.js has it, for a process that our engine starts.

const { ChildProcess } = require('node:child_process');
const diagnostics = require('node:diagnostics_channel');
const EventEmitter = require('node:events');
const { signals } = require('node:os').constants;
const emitThen = require('../emit-then.js');
const errors = require('../errors.js');
const LoopRef = require('../loop-ref.js');
const { nextTick } = require('../real-timers.js');

const created = diagnostics.channel('child_process');
// Reversed, because Node uses the first of several names of one signal.
const signalNames = new Map(
  Object.entries(signals)
    .reverse()
    .map(([name, number]) => [number, name]),
);

// What the engine takes for a descriptor that is none of this process.
const CLOSED = -1;
const IGNORE = -2;
const PIPE = -3;

/**
 * The `_handle` of a ChildProcess. ChildProcess.prototype uses it as it uses Node's own class Process
 * (src/process_wrap.cc): `spawn`, `kill`, `ref`, `unref`, `close`, `pid`, `onexit`.
 */
class ProcessHandle {
  pid = undefined;
  onexit = null;
  #process;
  #loopRef = new LoopRef();

  /** @param {EngineProcess} process */
  constructor(process) {
    this.#process = process;
  }

  /** Returns 0 or a negated errno. */
  spawn(...call) {
    const { stdio, ...options } = spawnOptions(call);
    const process = this.#process;
    process.start({ ...options, stdio: stdio.map(toDescriptor) });
    if (process.isStarted) {
      this.pid = process.pid;
      this.#loopRef.ref();
    }
    // Node reads from the pipes of a process that was not started, too.
    openPipes(stdio, (number) => process.takePipe(number));
    return process.isStarted ? 0 : process.fail(options.file);
  }

  kill(signal) {
    return this.#process.kill(signal);
  }

  ref() {
    if (this.#process.isStarted) this.#loopRef.ref();
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

/** Node 26 passes in one object what older versions pass as arguments. */
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

/** `take(number)` gives the descriptor of our end, or a negated errno where there are no descriptors left. */
function openPipes(stdio, take) {
  for (const [number, { type, handle }] of stdio.entries()) {
    if (type !== 'pipe' && type !== 'overlapped') continue;
    const fd = take(number);
    if (fd >= 0) handle.open(fd);
  }
}

/**
 * Makes the ChildProcess of an EngineProcess. The constructor of Node would make a handle of libuv that can
 * never be freed unless it spawns, so this does what that constructor does. Unlike there, a listener that
 * throws does not suppress 'close'.
 *
 * @param {() => void} onExited called after 'exit', or after the 'error' of a process that was not started
 * @returns {{child: ChildProcess, end: (code: number | null, signal: number | null) => void}} `end` is to be
 *   called when the process has ended
 */
function makeChildProcess(process, onExited) {
  const child = Reflect.construct(EventEmitter, [], ChildProcess);
  const handle = new ProcessHandle(process);
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
    const { failure } = process;
    if (signal) child.signalCode = signal;
    else child.exitCode = failure?.errno ?? code;
    child.stdin?.destroy();
    child._handle.close();
    child._handle = null;
    emitThen(
      () => emitEnd(child, failure),
      () => {
        onExited();
        nextTick(drainStreams, child);
        countClose(child);
      },
    );
  };
  if (created.hasSubscribers) created.publish({ process: child });
  const end = (code, signal) => handle.onexit(code ?? 0, signalNames.get(signal) ?? null);
  return { child, end };
}

/** Starts the process of a child, with the options that `child_process.fork()` makes of its own. */
function spawn(child, options) {
  // Node changes what it gets.
  child.spawn({ ...options });
}

/** What the handle of `resolveSpawn()` throws. An object, because Node may give it a stack. */
const RESOLVED = {};

/**
 * What `spawn()` would start with these options, in the form that an EngineProcess gets. Nothing is started.
 *
 * @throws what Node throws for options that are of no use
 */
function resolveSpawn(options) {
  const child = Reflect.construct(EventEmitter, [], ChildProcess);
  let resolved;
  child._handle = {
    spawn(...call) {
      const { stdio, ...rest } = spawnOptions(call);
      for (const { type, handle } of stdio)
        if (type === 'pipe' || type === 'overlapped') handle.close();
      resolved = { ...rest, stdio: stdio.map(toDescriptor) };
      throw RESOLVED;
    },
  };
  try {
    child.spawn({ ...options });
  } catch (error) {
    if (error !== RESOLVED) throw error;
  }
  return resolved;
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

/** Output that the program does not read must not keep the streams from closing. */
function drainStreams({ stdio }) {
  for (const stream of stdio ?? []) {
    // Streams that serve as the stdio of another process are not ours to read (kIsUsedAsStdio).
    const symbols = stream ? Object.getOwnPropertySymbols(stream) : [];
    const lent = symbols.some(({ description }) => description === 'kIsUsedAsStdio');
    if (stream?.readable && !lent) stream.resume();
  }
}

/** Makes 'close' wait for another `countClose()`. */
function expectClose(child) {
  child._closesNeeded += 1;
}

function countClose(child) {
  child._closesGot += 1;
  if (child._closesGot === child._closesNeeded) {
    child.emit('close', child.exitCode, child.signalCode);
  }
}

module.exports = { countClose, expectClose, makeChildProcess, resolveSpawn, spawn };
