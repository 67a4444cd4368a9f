'use strict';

const { nextTick } = require('../real-timers.js');
const errors = require('../errors.js');
const EventContext = require('../event-context.js');
const Fifo = require('../fifo.js');
const LoopRef = require('../loop-ref.js');
const { serverOf } = require('../node/handles.js');
const { report } = require('./closed-channel.js');
const flushOnExit = require('./flush-on-exit.js');
const handles = require('./handles.js');
const { encoderOf } = require('./serialization.js');
const { socketsOf } = require('./socket-list.js');

// From so many queued bytes on, `send()` returns false, as Node's does: two reads of 64 KiB.
const HIGH_WATER_MARK = 2 * 65536;
// From this length on, a string costs less alone than in a JSON text with other messages.
const LONG_STRING = 1024;
// From this length on, a string that is queued for one channel is not copied for others. Shorter ones are seldom
// queued.
const SHARED_STRING = 64 * 1024;
const NO_CALLBACK = {};

/** The channel that has sent a long string in this tick, and the string. */
let last;

function forgetLast() {
  last = undefined;
}

/** A broadcast sends the same string again and again. */
function sendString(ipc, string) {
  if (string.length < SHARED_STRING) return ipc.sendString(string);
  // This takes no time if both are the same object, and less than a copy otherwise.
  const queued = last?.string === string ? ipc.sendStringOf(last.ipc) : null;
  if (queued !== null) return queued;
  if (last === undefined) nextTick(forgetLast);
  last = { ipc, string };
  return ipc.sendString(string);
}

/** What one end of a channel sends: it checks and encodes messages, and calls their callbacks. */
class Outbox {
  #target;
  #ipc;
  #context;
  #encode;
  #sockets;
  #onFlushed;
  /** `{callback, context}` of each queued message, in order. */
  #queued = new Fifo();
  /** Whether a `send()` has returned false since the last 'drain'. */
  #isDrainAwaited = false;
  /**
   * Keeps the event loop running while messages are queued, even if the user has unreferenced the channel.
   */
  #loopRef = new LoopRef();

  /**
   * @param {object} options as for a Channel, and
   * @param {SocketList} options.sockets which the peer gets from servers of this process
   * @param {() => void} options.onFlushed called when nothing is queued any longer, and the channel is
   *   disconnected
   */
  constructor(target, ipc, { context, mode, sockets, onFlushed }) {
    this.#target = target;
    this.#ipc = ipc;
    this.#context = context;
    this.#encode = encoderOf(mode);
    this.#sockets = sockets;
    this.#onFlushed = onFlushed;
  }

  get isEmpty() {
    return this.#queued.length === 0;
  }

  /** `process.send()`. */
  send(message, handle, options, callback) {
    if (typeof handle === 'function') {
      [handle, options, callback] = [undefined, undefined, handle];
    } else if (typeof options === 'function') {
      [options, callback] = [undefined, options];
    } else if (options !== undefined && !isObject(options)) {
      throw errors.invalidArgType('options', 'of type object', options);
    }
    if (!this.#target.connected) {
      report(this.#target, errors.ipcChannelClosed(), callback);
      return false;
    }
    return this.sendUnchecked(message, handle, options, callback);
  }

  /** `process._send()`, which works until the channel is closed. */
  sendUnchecked(message, handle, options, callback) {
    if (this.#target.channel === null) throw errors.channelAssertion();
    if (message === undefined) throw errors.missingArgs('message');
    if (!isSendable(message)) {
      const expected = 'one of type string, object, number, or boolean';
      throw errors.invalidArgType('message', expected, message);
    }
    if (handle) return this.#sendHandle(message, handle, options, callback);
    return this.#sent(this.#sendAlone(message), callback);
  }

  /** `callback` is called when the channel has taken the message, or can't. */
  sendInternal(message, callback) {
    if (!this.#target.connected) return;
    const { type, fd } = handles.NOTHING;
    this.#sent(this.#ipc.send(true, JSON.stringify(message), type, fd), callback);
  }

  #sendAlone(message) {
    const ipc = this.#ipc;
    if (typeof message === 'string' && message.length >= LONG_STRING) {
      return sendString(ipc, message);
    }
    const payload = this.#encode(message);
    return typeof payload === 'string' ? ipc.sendText(payload) : ipc.sendBytes(payload);
  }

  #sendHandle(message, handle, options, callback) {
    const packed = handles.pack(handle, options?.keepOpen);
    const server = handles.isSocket(packed.type) ? serverOf(handle) : undefined;
    const sockets = server ? socketsOf(server) : undefined;
    const payload = this.#encode(wrapped(message, packed.type, sockets?.key));
    const queued = this.#ipc.send(false, payload, packed.type, packed.fd);
    packed.release();
    if (sockets && queued >= 0) this.#sockets.add(sockets);
    return this.#sent(queued, callback);
  }

  /** `queued` is how many bytes are queued now, or a negated errno if the message can't be sent. */
  #sent(queued, callback) {
    if (queued < 0) {
      report(this.#target, errors.errnoException(queued, 'write'), callback);
    } else if (queued > 0) {
      this.#queue(callback);
    } else if (typeof callback === 'function') {
      nextTick(callback, null);
    }
    if (queued < HIGH_WATER_MARK) return true;
    this.#isDrainAwaited = true;
    return false;
  }

  #queue(callback) {
    if (this.isEmpty) {
      this.#loopRef.ref();
      flushOnExit.add(this.#ipc);
    }
    const hasCallback = typeof callback === 'function';
    this.#queued.push(hasCallback ? { callback, context: new EventContext() } : NO_CALLBACK);
  }

  /**
   * The kernel has taken so many of the queued messages. `errno` says why it refuses the next one; it is 0
   * if there is none, or it still waits.
   */
  flushed(count, errno) {
    for (let left = count; left > 0; left -= 1) {
      const { callback, context } = this.#queued.shift();
      context?.nextTick(callback, null);
    }
    if (errno !== 0) {
      const { callback, context = this.#context } = this.#queued.shift();
      const error = errors.errnoException(errno, 'write');
      context.run(report, this.#target, error, callback);
    }
    if (!this.isEmpty) return;
    this.stopWaiting();
    if (!this.#target.connected) this.#onFlushed();
    else if (this.#isDrainAwaited) this.#context.nextTick(() => this.#target.emit('drain'));
    this.#isDrainAwaited = false;
  }

  /** The channel is closed: what is queued is lost, and its callbacks get an error. */
  dropQueued() {
    if (this.isEmpty) return;
    // One for all callbacks: there may be thousands, and the stack would be the same.
    const error = errors.ipcChannelClosed();
    while (!this.isEmpty) {
      const { callback, context } = this.#queued.shift();
      context?.nextTick(callback, error);
    }
  }

  stopWaiting() {
    this.#loopRef.unref();
    flushOnExit.remove(this.#ipc);
  }
}

/**
 * As in Node, a message that goes with a handle is the member `msg` of an object, so `toJSON()` gets that
 * name.
 */
function wrapped(msg, handleType, key) {
  if (handleType === handles.NOTHING.type) return msg;
  return key === undefined ? { msg } : { msg, key };
}

function isSendable(message) {
  const type = typeof message;
  return type === 'string' || type === 'object' || type === 'number' || type === 'boolean';
}

function isObject(value) {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}

module.exports = Outbox;
