'use strict';

const { closeSync } = require('node:fs');
const EventContext = require('../event-context.js');
const { emitInternal, isInternal } = require('../node/channel.js');
const { now } = require('../real-timers.js');
const handles = require('./handles.js');
const internalMessages = require('./internal-messages.js');
const PendingMessages = require('./pending-messages.js');
const serialization = require('./serialization.js');

// How many internal messages a worker may send. They cost the primary's JavaScript time, while the engine
// counts what comes by the control socket.
const BURST = 10_000;
/** In milliseconds: 5,000 a second. */
const PAUSE = 0.2;

/** Allows `BURST` events at once, and after that one every `PAUSE` milliseconds. */
class Quota {
  /** When the whole burst is allowed again. */
  #full = 0;

  /** Counts an event. Returns whether it is one too many. */
  isExceeded() {
    const time = now();
    this.#full = Math.max(this.#full, time) + PAUSE;
    return this.#full - time > BURST * PAUSE;
  }
}

/**
 * What one end of a channel receives: it decodes messages, and emits them or keeps them until they have a
 * listener.
 */
class Inbox {
  #target;
  #context;
  #mode;
  /** Limits internal messages, unless the peer is trusted. */
  #quota;
  #sockets;
  #isHeard;
  #onInternalMessage;
  #fail;
  #pending = new PendingMessages();

  /**
   * @param {object} options as for a Channel, and
   * @param {SocketList} options.sockets which the peer has sent, and its questions about sockets
   * @param {(reason: string) => void} options.fail ends the channel, because the peer broke the protocol
   */
  constructor(target, { context, mode, sockets, isHeard, onInternalMessage, fail, isTrusted }) {
    this.#target = target;
    this.#context = context;
    this.#mode = mode;
    this.#quota = isTrusted ? undefined : new Quota();
    this.#sockets = sockets;
    this.#isHeard = isHeard ?? (() => target.listenerCount('message') > 0);
    this.#onInternalMessage = onInternalMessage;
    this.#fail = fail;
  }

  /** So many messages in JSON; if there are several, `text` is an array of them. */
  receiveTexts(text, count) {
    this.#receiveMany(text.length, () => serialization.fromTexts(text, count));
  }

  /** Messages in bytes, each after its length. */
  receiveBytes(bytes) {
    this.#receiveMany(bytes.length, () => {
      this.#expectBytes();
      return serialization.fromManyBytes(bytes);
    });
  }

  /** A message that is a string, in no format. */
  receiveString(message) {
    this.#receiveMany(message.length, () => [message]);
  }

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

  /**
   * An internal message, or one of the user that is long, or has a handle. `fd` is -1 without a descriptor.
   */
  receive(isInternalMessage, payload, handleType, fd) {
    if (this.#target.channel === null) {
      closeDescriptor(fd);
      return;
    }
    let message;
    let key;
    try {
      message = this.#decode(payload);
      if (handleType !== handles.NOTHING.type) ({ msg: message, key } = message);
      if (isInternalMessage) internalMessages.check(message);
    } catch (error) {
      closeDescriptor(fd);
      this.#failUnreadable(error);
      return;
    }
    if (isInternalMessage) this.#receiveInternal(message);
    else this.#receiveWithHandle(message, key, payload.length, handleType, fd);
  }

  #decode(payload) {
    if (typeof payload === 'string') return JSON.parse(payload);
    this.#expectBytes();
    return serialization.fromBytes(payload);
  }

  /** V8's deserializer reads only what comes from a peer that has been asked to use its serializer. */
  #expectBytes() {
    if (this.#mode !== 'advanced') throw new TypeError('it is not JSON');
  }

  #receiveInternal(message) {
    if (this.#quota?.isExceeded()) {
      this.#fail(`the worker exceeds the limit of ${BURST} internal messages at once`);
      return;
    }
    this.#context.nextTick(
      () => this.#sockets.receive(message) || this.#onInternalMessage(message),
    );
  }

  #receiveWithHandle(message, key, length, handleType, fd) {
    let handle;
    try {
      // In the root context, because Node makes handles outside of all events. Data that is read from a handle
      // has the context that made the handle.
      if (fd !== -1) handle = EventContext.root.run(handles.unpack, handleType, fd);
    } catch (error) {
      this.#failUnreadable(error);
      return;
    }
    // A worker may have broken the handle; an 'error' without a listener would end the primary.
    if (this.#quota) handle?.on?.('error', () => {});
    if (handleType !== handles.NOTHING.type && fd === -1) warnOfLostHandle();
    else if (key !== undefined && handles.isSocket(handleType)) this.#sockets.track(key, handle);
    // A server among them emits 'listening' before this tick.
    this.#context.nextTick(() => this.#deliver(message, handle, length));
  }

  #failUnreadable({ message }) {
    this.#fail(`the IPC channel carries a message that can't be read: ${message}`);
  }

  #deliver(message, handle, bytes) {
    if (isInternal(message)) {
      emitInternal(this.#target, message, handle);
    } else if (!this.#isHeard()) {
      this.#pending.pushOrDrop(message, handle, bytes);
    } else if (this.#pending.length > 0) {
      // Those before it are being delivered.
      this.#pending.push(message, handle, bytes);
    } else {
      this.#target.emit('message', message, handle);
    }
  }

  /** Delivers the pending messages when `emitter` gets a listener of 'message'. */
  deliverPendingTo(emitter) {
    emitter.on('newListener', (name) => {
      if (name === 'message' && this.#pending.length > 0) this.#deliverPendingSoon();
    });
  }

  #deliverPendingSoon() {
    this.#context.nextTick(() => this.#deliverPending());
  }

  /** One in each tick, as long as there is a listener: one that was added by `once()` gets one message. */
  #deliverPending() {
    if (this.#pending.length === 0 || !this.#isHeard()) return;
    const [message, handle] = this.#pending.shift();
    if (this.#pending.length > 0) this.#deliverPendingSoon();
    this.#target.emit('message', message, handle);
  }
}

function closeDescriptor(fd) {
  if (fd !== -1) closeSync(fd);
}

let hasLostHandle = false;

/** Once: a process that is out of descriptors would do little else. */
function warnOfLostHandle() {
  if (hasLostHandle) return;
  hasLostHandle = true;
  const lost = 'A handle did not reach this process: it has no descriptor left for it';
  process.emitWarning(lost, 'SentHandleNotReceivedWarning');
}

module.exports = Inbox;
