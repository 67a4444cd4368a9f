'use strict';

const { SIGKILL, SIGUSR1 } = require('node:os').constants.signals;
const EventContext = require('../event-context.js');
const { showClosed } = require('../ipc/closed-channel.js');
const LoopRef = require('../loop-ref.js');
const { countClose, expectClose, makeChildProcess, spawn } = require('../node/child-process.js');
const EngineProcess = require('./engine-process.js');

/** `lib/ipc/channel.js`, once `load()` has loaded it. */
let Channel;

/**
 * A worker's process: a ChildProcess as `child_process.fork()` makes it, on our engine.
 *
 * A process that could not be started emits `'error'` on its ChildProcess on the next tick, and has
 * no channel.
 */
class WorkerProcess {
  /** What users see as `worker.process`. */
  child;
  /** In which the worker's events are emitted: that of `cluster.fork()`. */
  context = new EventContext();
  #process;
  #channel = null;
  /** Ends the ChildProcess. */
  #end;
  #onExiting;
  #hasExited = false;
  #isAbandoned = false;
  /** Called when the engine has closed all that the worker was the last to serve. */
  #onLeft = null;
  /** Keeps the event loop running until then. */
  #leaving = new LoopRef();

  /**
   * @param {object} request see `spawnRequest()`
   * @param {object} result see `EngineProcess`
   * @param {object} handlers `onInternalMessage` and `onFault`, as of a Channel, and what is called once,
   *   even if a listener of the event throws:
   * @param {() => void} handlers.onDisconnected after 'disconnect'
   * @param {(code: number | null) => void} handlers.onExiting before 'exit'
   * @param {() => void} handlers.onExited after 'exit', or after the 'error' of a process that could not be
   *   started
   * @throws what Node throws for settings that are of no use together, or why `load()` fails; then no process is left
   */
  constructor(engine, id, request, result, handlers) {
    this.#process = new EngineProcess(engine, id, request, result);
    this.#onExiting = handlers.onExiting;
    const { child, end } = makeChildProcess(
      this.#process,
      () => this.#isAbandoned || handlers.onExited(),
    );
    this.child = child;
    this.#end = end;
    spawn(child, request.spawn);
    const ipc = this.#process.takeIpc();
    if (ipc === null) showClosed(child);
    else this.#openChannel(ipc, request.serialization, handlers);
  }

  /**
   * Loads what the channels of workers need, if that is not done. The first worker does it when its process has been
   * started, which runs meanwhile.
   */
  static load() {
    if (Channel !== undefined) return;
    // Loaded now, although only 'advanced' channels use it: the program may replace what it relies on.
    require('../ipc/json-safe.js');
    Channel = require('../ipc/channel.js');
  }

  /** Ends a process that can have no channel, without an event of the cluster. */
  #abandon(ipc) {
    this.#isAbandoned = true;
    ipc.close();
    // Emitted if the process could not be started either. Nobody has the ChildProcess that could listen.
    this.child.on('error', () => {});
    if (!this.isStarted) return;
    this.#process.kill(SIGKILL);
    // The engine reaps it when it has ended.
    this.#process.reap();
    this.#end(null, SIGKILL);
  }

  #openChannel(ipc, mode, { onInternalMessage, onFault, onDisconnected }) {
    const { child, context } = this;
    try {
      WorkerProcess.load();
    } catch (error) {
      this.#abandon(ipc);
      throw error;
    }
    expectClose(child);
    // The events of a process that could not be started come even if the program has nothing else to do, and
    // has unreferenced the channel.
    const untilClosed = new LoopRef();
    if (!this.isStarted) untilClosed.ref();
    this.#channel = new Channel(child, ipc, {
      context,
      mode,
      refs: 1,
      isTrusted: false,
      onInternalMessage,
      onFault,
      beforeDisconnect: (callback) => this.#leave(callback),
      onClosed: () => {
        untilClosed.unref();
        onDisconnected();
        countClose(child);
      },
    });
  }

  /** Whether this end has closed the channel, so that the worker's messages do not arrive any longer. */
  get hasLeft() {
    return this.#channel.hasLeft;
  }

  /** Whether there is a process. */
  get isStarted() {
    return this.#process.isStarted;
  }

  /** Whether it has, or had, a channel. */
  get hasChannel() {
    return this.#channel !== null;
  }

  /** Whether this process may not send it signals. */
  get refusesSignals() {
    return this.#process.refusesSignals;
  }

  sendInternal(message) {
    this.#channel?.sendInternal(message);
  }

  /** Sends the answer to an internal message of the worker. */
  answer(message) {
    this.#channel?.answer(message);
  }

  /** Sends SIGUSR1, at which Node starts its inspector. For a process that has ended this does nothing. */
  enableInspector() {
    this.#process.kill(SIGUSR1);
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
      // After what listeners of 'disconnect' put into the next tick.
      this.context.nextTick(() => {
        this.context.nextTick(this.#onExiting, code);
        this.context.nextTick(() => {
          this.#process.reap();
          this.#end(code, signal);
        });
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
    // The engine reports an exit only after it has closed everything, so there is nothing to wait for then.
    if (this.#hasExited || !this.#process.leave()) {
      callback();
      return;
    }
    // In the context of the code that closes the channel.
    this.#onLeft = EventContext.bind(callback);
    this.#leaving.ref();
  }
}

module.exports = WorkerProcess;
