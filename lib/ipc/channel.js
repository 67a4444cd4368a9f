'use strict';

const EventEmitter = require('node:events');
const { closeSync } = require('node:fs');
const { deprecate } = require('node:util');
const { nextTick, setTimeout } = require('../real-timers');
const emitThen = require('../emit-then');
const errors = require('../errors');
const EventContext = require('../event-context');
const Fifo = require('../fifo');
const handles = require('./handles');
const LoopRef = require('../loop-ref');
const flushOnExit = require('./flush-on-exit');
const internalMessages = require('./internal-messages');
const PendingMessages = require('./pending-messages');
const { BURST, Quota } = require('./quota');
const serialization = require('./serialization');
const { SocketList, socketsOf } = require('./socket-list');

// What ChildProcess.prototype.send tells a caller who should slow down: two reads of 64 KiB.
const HIGH_WATER_MARK = 2 * 65536;
// From here on, a string that goes as it is costs less than one that shares a JSON with others.
const LONG_STRING = 1024;
// How long to wait, in milliseconds, when the kernel is short of something.
const SHORTAGE_PAUSE = 10;
const INTERNAL_PREFIX = 'NODE_';
const NO_CALLBACK = {};
// Answers that the peer has not read: one that asks for more is at fault.
const MOST_ANSWERS = 4096;
const CLOSED = 'The channel is closed.';

const majorVersion = Number.parseInt(process.versions.node, 10);

/** What users see as `process.channel`: it holds the event loop open, or lets it go. */
class Control extends EventEmitter {
  #ipc;
  #refs;
  #decided = false;

  constructor(ipc, refs) {
    super();
    this.#ipc = ipc;
    this.#refs = refs;
  }

  // Counted holds no longer matter once the user has decided.
  refCounted() {
    this.#refs += 1;
    if (this.#refs === 1 && !this.#decided) this.#ipc.ref();
  }

  unrefCounted() {
    this.#refs -= 1;
    if (this.#refs === 0 && !this.#decided) {
      this.#ipc.unref();
      this.emit('unref');
    }
  }

  ref() {
    this.#decided = true;
    this.#ipc.ref();
  }

  unref() {
    this.#decided = true;
    this.#ipc.unref();
  }

  get fd() {
    return this.#ipc.fd === -1 ? undefined : this.#ipc.fd;
  }
}

/**
 * One end of an IPC channel, shown on `target` (a ChildProcess, or the global `process`) as the
 * channel of `child_process.fork()`: `send`, `disconnect`, `connected`, `channel`, and the events
 * `message`, `internalMessage`, `disconnect`.
 */
class Channel {
  /** Whether this end has closed it, though the peer may not have. */
  hasLeft = false;
  #target;
  #ipc;
  #context;
  #encode;
  #mode;
  #control;
  #onInternalMessage;
  #onFault;
  #onClosed;
  #beforeDisconnect;
  #isHeard;
  #pending = new PendingMessages();
  /** `{callback, context}` of messages that the channel has not taken yet, in order. */
  #unsent = new Fifo();
  /** Set when somebody was told to wait for 'drain'. */
  #isAwaited = false;
  /** As long as there are any, whatever the user decided of the channel. */
  #loopRef = new LoopRef();
  /** Sockets of servers, at either end. */
  #sockets = new SocketList(this);
  /** Counts the internal messages of a peer that is not trusted. */
  #quota;
  /** How many answers the channel has not taken yet. */
  #unreadAnswers = 0;

  /**
   * @param {object} options
   * @param {EventContext} options.context of the events
   * @param {'json' | 'advanced'} [options.mode] how messages are serialized, at both ends
   * @param {number} options.refs how many reasons there are already to hold the event loop open
   * @param {(message: object) => void} options.onInternalMessage gets what the other cluster module says
   * @param {(error: Error) => void} options.onFault hears that the peer broke the protocol
   * @param {() => void} [options.onClosed] called once, after the event 'disconnect', even if one of
   *   its listeners throws
   * @param {boolean} [options.isTrusted] whether the peer is trusted, as a primary is
   * @param {(callback: () => void) => void} [options.beforeDisconnect] calls back when `disconnect` may
   *   be emitted, the channel being closed
   * @param {() => boolean} [options.isHeard] whether somebody listens to messages
   */
  constructor(target, ipc, options) {
    const {
      context,
      mode = 'json',
      refs,
      onInternalMessage,
      onFault,
      onClosed = () => {},
      beforeDisconnect = (callback) => callback(),
      isHeard,
    } = options;
    this.#quota = options.isTrusted ? undefined : new Quota();
    this.#target = target;
    this.#ipc = ipc;
    this.#context = context;
    this.#mode = mode;
    this.#encode = serialization.encoders[mode];
    this.#control = new Control(ipc, refs);
    this.#onInternalMessage = onInternalMessage;
    this.#onFault = onFault;
    this.#onClosed = onClosed;
    this.#beforeDisconnect = beforeDisconnect;
    this.#isHeard = isHeard ?? (() => target.listenerCount('message') > 0);
    target.connected = true;
    target.channel = this.#control;
    target.send = (message, handle, options, callback) =>
      this.#send(message, handle, options, callback);
    target._send = (message, handle, options, callback) =>
      this.#sendUnchecked(message, handle, options, callback);
    target.disconnect = () => this.#disconnect();
    target._disconnect = () => this.#disconnectNow();
    showDeprecated(target);
    this.deliverPendingTo(target);
    const errno = ipc.start({
      onTexts: (text, count) =>
        this.#receiveMany(text.length, () => serialization.fromTexts(text, count)),
      onBytes: (bytes) => this.#receiveMany(bytes.length, () => this.#decodeMany(bytes)),
      onString: (message) => this.#receiveMany(message.length, () => [message]),
      onMessage: (...message) => this.#receive(...message),
      onFlushed: (count, errno) => context.run(() => this.#flushed(count, errno)),
      onEnd: (reason) => context.run(() => this.#ended(reason)),
    });
    if (refs === 0) ipc.unref();
    if (errno !== 0) this.#failBy(errors.errnoException(errno, 'epoll_ctl'));
  }

  /** Shows on `target` the channel of a process that was never started. */
  static showClosed(target) {
    target.send = (_message, ...rest) => {
      report(
        target,
        errors.ipcChannelClosed(),
        rest.find((it) => typeof it === 'function'),
      );
      return false;
    };
    target.disconnect = () => target.emit('error', errors.ipcDisconnected());
  }

  get control() {
    return this.#control;
  }

  /** Tells the other cluster module something, in order with the messages. */
  sendInternal(message) {
    this.#sendInternal(message, () => {});
  }

  /** As `sendInternal`, what the peer has asked for. One that asks and does not read is at fault. */
  answer(message) {
    this.#unreadAnswers += 1;
    this.#sendInternal(message, () => {
      this.#unreadAnswers -= 1;
    });
    if (this.#unreadAnswers > MOST_ANSWERS) {
      this.fail('the IPC channel is full of answers that are not read');
    }
  }

  #sendInternal(message, callback) {
    if (!this.#target.connected) return;
    const { type, fd } = handles.NOTHING;
    this.#sent(this.#ipc.send(true, JSON.stringify(message), type, fd), callback);
  }

  /** Delivers all that a dead peer has left, then calls back. */
  finish(callback) {
    if (this.#ipc.finish()) callback();
    else setTimeout(() => this.finish(callback), SHORTAGE_PAUSE);
  }

  /** Ends the channel because the peer broke the protocol. */
  fail(reason) {
    this.#failBy(errors.protocolError(reason));
  }

  #failBy(error) {
    if (this.#target.channel === null) return;
    this.#target.connected = false;
    this.#context.nextTick(this.#onFault, error);
    this.#context.run(() => this.#close());
  }

  #send(message, handle, options, callback) {
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
    return this.#sendUnchecked(message, handle, options, callback);
  }

  #sendUnchecked(message, handle, options, callback) {
    if (this.#target.channel === null) throw errors.internalAssertion(CLOSED);
    if (message === undefined) throw errors.missingArgs('message');
    if (!isSendable(message)) {
      const expected = 'one of type string, object, number, or boolean';
      throw errors.invalidArgType('message', expected, message);
    }
    if (handle) return this.#sendHandle(message, handle, options, callback);
    return this.#sent(this.#sendAlone(message), callback);
  }

  #sendAlone(message) {
    const ipc = this.#ipc;
    if (typeof message === 'string' && message.length >= LONG_STRING) {
      return ipc.sendString(message);
    }
    const payload = this.#encode(message);
    return typeof payload === 'string' ? ipc.sendText(payload) : ipc.sendBytes(payload);
  }

  #sendHandle(message, handle, options, callback) {
    const packed = handles.pack(handle, options?.keepOpen);
    const isSocket = handles.isSocket(packed.type);
    const sockets = isSocket && handle.server ? socketsOf(handle.server) : undefined;
    const payload = this.#encode(wrapped(message, packed.type, sockets?.key));
    const queued = this.#ipc.send(false, payload, packed.type, packed.fd);
    packed.release();
    if (sockets && queued >= 0) this.#sockets.add(sockets);
    return this.#sent(queued, callback);
  }

  /** `queued` is how many bytes wait now, or why the message could not be sent: a negated errno. */
  #sent(queued, callback) {
    if (queued < 0) {
      report(this.#target, errors.errnoException(queued, 'write'), callback);
    } else if (queued > 0) {
      this.#queue(callback);
    } else if (typeof callback === 'function') {
      nextTick(callback, null);
    }
    if (queued < HIGH_WATER_MARK) return true;
    this.#isAwaited = true;
    return false;
  }

  #queue(callback) {
    if (this.#unsent.length === 0) {
      this.#loopRef.ref();
      flushOnExit.add(this.#ipc);
    }
    const hasCallback = typeof callback === 'function';
    this.#unsent.push(hasCallback ? { callback, context: new EventContext() } : NO_CALLBACK);
  }

  /** Nothing is queued any more. */
  #onFlushed() {
    this.#loopRef.unref();
    flushOnExit.remove(this.#ipc);
  }

  /** `errno` is why the message after those `count` could not be sent, or 0. */
  #flushed(count, errno) {
    for (let left = count; left > 0; left -= 1) {
      const { callback, context } = this.#unsent.shift();
      context?.nextTick(callback, null);
    }
    if (errno !== 0) {
      const { callback, context = this.#context } = this.#unsent.shift();
      const error = errors.errnoException(errno, 'write');
      context.run(report, this.#target, error, callback);
    }
    if (this.#unsent.length > 0) return;
    this.#onFlushed();
    if (!this.#target.connected) this.#close();
    else if (this.#isAwaited) this.#context.nextTick(() => this.#target.emit('drain'));
    this.#isAwaited = false;
  }

  /** `bytes` is how long all of them are. */
  #receiveMany(bytes, decode) {
    if (this.#target.channel === null) return;
    let messages;
    try {
      messages = decode();
    } catch (error) {
      this.#failUnreadable(error);
      return;
    }
    const each = Math.ceil(bytes / messages.length);
    this.#context.forEach(messages, (message) => this.#deliver(message, undefined, each));
  }

  #decodeMany(bytes) {
    this.#expectBytes();
    return serialization.fromManyBytes(bytes);
  }

  #decode(payload) {
    if (typeof payload === 'string') return JSON.parse(payload);
    this.#expectBytes();
    return serialization.fromBytes(payload);
  }

  /** V8's deserializer is only for those whom the primary has asked to use its serializer. */
  #expectBytes() {
    if (this.#mode !== 'advanced') throw new TypeError('it is not JSON');
  }

  #receive(isInternalMessage, payload, handleType, fd) {
    if (this.#target.channel === null) {
      if (fd !== -1) closeSync(fd);
      return;
    }
    let message;
    let key;
    try {
      message = this.#decode(payload);
      if (handleType !== handles.NOTHING.type) ({ msg: message, key } = message);
      if (isInternalMessage) internalMessages.check(message);
    } catch (error) {
      if (fd !== -1) closeSync(fd);
      this.#failUnreadable(error);
      return;
    }
    if (isInternalMessage) {
      if (this.#quota?.isExceeded()) {
        this.fail(`the worker exceeds the limit of ${BURST} internal messages at once`);
        return;
      }
      this.#context.nextTick(() => this.#sockets.hear(message) || this.#onInternalMessage(message));
      return;
    }
    let handle;
    try {
      // Node makes handles, whose context is that of what is read from them, outside of any event.
      if (fd !== -1) handle = EventContext.root.run(handles.unpack, handleType, fd);
    } catch (error) {
      this.#failUnreadable(error);
      return;
    }
    // What is wrong with it, the peer may have done: that can't end a process which does not use it.
    if (this.#quota) handle?.on?.('error', () => {});
    if (handleType !== 0 && fd === -1) warnOfLostHandle();
    else if (key !== undefined && handles.isSocket(handleType)) this.#sockets.track(key, handle);
    // A server has said by then that it is listening.
    this.#context.nextTick(() => this.#deliver(message, handle, payload.length));
  }

  #failUnreadable({ message }) {
    this.fail(`the IPC channel carries a message that can't be read: ${message}`);
  }

  #deliver(message, handle, bytes) {
    if (isInternal(message)) {
      this.#target.emit('internalMessage', message, handle);
    } else if (!this.#isHeard()) {
      this.#pending.pushOrDrop(message, handle, bytes);
    } else if (this.#pending.length > 0) {
      // They are being delivered.
      this.#pending.push(message, handle, bytes);
    } else {
      this.#target.emit('message', message, handle);
    }
  }

  /** Delivers the messages that nothing has listened to when `emitter` gets a listener. */
  deliverPendingTo(emitter) {
    emitter.on('newListener', (name) => {
      if (name === 'message' && this.#pending.length > 0) this.#deliverPendingSoon();
    });
  }

  #deliverPendingSoon() {
    this.#context.nextTick(() => this.#deliverPending());
  }

  /** One by one, as long as something listens: who listens once gets one. */
  #deliverPending() {
    if (this.#pending.length === 0 || !this.#isHeard()) return;
    const [message, handle] = this.#pending.shift();
    if (this.#pending.length > 0) this.#deliverPendingSoon();
    this.#target.emit('message', message, handle);
  }

  #disconnect() {
    if (!this.#target.connected) {
      this.#target.emit('error', errors.ipcDisconnected());
      return;
    }
    this.hasLeft = true;
    this.#target.connected = false;
    // What is queued goes first.
    if (this.#unsent.length === 0) this.#close();
  }

  /** Does not wait for what is queued. */
  #disconnectNow() {
    if (this.#target.channel === null) throw errors.internalAssertion(CLOSED);
    this.hasLeft = true;
    this.#target.connected = false;
    this.#close();
  }

  #ended(reason) {
    if (reason !== null && reason !== undefined) this.fail(reason);
    if (this.#target.channel === null) return;
    this.#target.connected = false;
    this.#close();
  }

  /** One error serves all callbacks: there may be many thousands, and each has the same stack. */
  #dropUnsent() {
    if (this.#unsent.length === 0) return;
    const error = errors.ipcChannelClosed();
    while (this.#unsent.length > 0) {
      const { callback, context } = this.#unsent.shift();
      context?.nextTick(callback, error);
    }
  }

  #close() {
    if (this.#target.channel === null) return;
    this.#target.channel = null;
    this.#onFlushed();
    this.#sockets.end();
    this.#dropUnsent();
    nextTick(() => {
      const reason = this.#ipc.close();
      if (reason != null) nextTick(this.#onFault, errors.protocolError(reason));
      this.#beforeDisconnect(() => {
        emitThen(() => this.#target.emit('disconnect'), this.#onClosed);
      });
    });
  }
}

/** What goes with a handle. As in Node, the message is the member `msg` of it, which `toJSON()` is told. */
function wrapped(msg, handleType, key) {
  if (handleType === handles.NOTHING.type) return msg;
  return key === undefined ? { msg } : { msg, key };
}

function report(target, error, callback) {
  if (typeof callback === 'function') nextTick(callback, error);
  else nextTick(() => target.emit('error', error));
}

/** As `child_process` has it, until Node 26. */
function showDeprecated(target) {
  if (majorVersion >= 26) return;
  const text = '_channel is deprecated. Use ChildProcess.channel instead.';
  const get = () => target.channel;
  const set = (value) => {
    target.channel = value;
  };
  Object.defineProperty(target, '_channel', {
    get: deprecate(get, text, 'DEP0129'),
    set: deprecate(set, text, 'DEP0129'),
    configurable: true,
  });
}

let hasLostHandle = false;

/** Once: a process without descriptors would do little else. */
function warnOfLostHandle() {
  if (hasLostHandle) return;
  hasLostHandle = true;
  const lost = 'A handle did not reach this process: it has no descriptor left for it';
  process.emitWarning(lost, 'SentHandleNotReceivedWarning');
}

function isSendable(message) {
  const type = typeof message;
  return type === 'string' || type === 'object' || type === 'number' || type === 'boolean';
}

function isObject(value) {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}

function isInternal(message) {
  return (
    message !== null &&
    typeof message === 'object' &&
    typeof message.cmd === 'string' &&
    message.cmd.length > INTERNAL_PREFIX.length &&
    message.cmd.startsWith(INTERNAL_PREFIX)
  );
}

module.exports = Channel;
