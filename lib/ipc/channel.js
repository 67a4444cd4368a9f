'use strict';

const { nextTick, setTimeout } = require('../real-timers.js');
const emitThen = require('../emit-then.js');
const errors = require('../errors.js');
const { Control, showChannel } = require('../node/channel.js');
const Inbox = require('./inbox.js');
const Outbox = require('./outbox.js');
const { SocketList } = require('./socket-list.js');

// How long to wait before another try when the kernel is short of memory, in milliseconds.
const SHORTAGE_PAUSE = 10;
// Answers that are queued because the peer does not read them.
const MOST_ANSWERS = 4096;

/**
 * One end of an IPC channel, shown on `target` (a ChildProcess, or the global `process`) as the
 * channel of `child_process.fork()`: `send`, `disconnect`, `connected`, `channel`, and the events
 * `message`, `internalMessage`, `disconnect`.
 */
class Channel {
  /** Whether this end has closed the channel, though the peer may not have. */
  hasLeft = false;
  #target;
  #ipc;
  #context;
  #control;
  #outbox;
  #inbox;
  #onFault;
  #onClosed;
  #beforeDisconnect;
  /** Sockets of servers that were sent by this channel. */
  #sockets = new SocketList(this);
  #queuedAnswers = 0;

  /**
   * @param {IpcChannel} ipc the engine's end of the channel
   * @param {object} options
   * @param {EventContext} options.context of the events
   * @param {'json' | 'advanced'} options.mode how messages are serialized, at both ends
   * @param {number} options.refs how many listeners already keep the event loop running
   * @param {boolean} options.isTrusted whether the peer is trusted, as the primary is
   * @param {(message: object) => void} options.onInternalMessage gets the internal messages of the peer
   * @param {(error: Error) => void} options.onFault is called when the peer has broken the protocol
   * @param {(callback: () => void) => void} options.beforeDisconnect is called when the channel is closed,
   *   and calls back when `'disconnect'` may be emitted
   * @param {() => void} options.onClosed is called once, after `'disconnect'`, even if a listener throws
   * @param {() => boolean} [options.isHeard] whether `'message'` has a listener
   */
  constructor(target, ipc, options) {
    const { context, refs, onFault, onClosed, beforeDisconnect } = options;
    this.#target = target;
    this.#ipc = ipc;
    this.#context = context;
    this.#onFault = onFault;
    this.#onClosed = onClosed;
    this.#beforeDisconnect = beforeDisconnect;
    const sockets = this.#sockets;
    const inbox = new Inbox(target, { ...options, sockets, fail: (reason) => this.fail(reason) });
    const outbox = new Outbox(target, ipc, { ...options, sockets, onFlushed: () => this.#close() });
    this.#control = new Control(ipc, refs);
    this.#inbox = inbox;
    this.#outbox = outbox;
    showChannel(target, this.#control, outbox, this);
    inbox.deliverPendingTo(target);
    const errno = ipc.start({
      onTexts: (text, count) => inbox.receiveTexts(text, count),
      onBytes: (bytes) => inbox.receiveBytes(bytes),
      onString: (message) => inbox.receiveString(message),
      onMessage: (...message) => inbox.receive(...message),
      onFlushed: (count, errno) => context.run(() => outbox.flushed(count, errno)),
      onEnd: (reason) => context.run(() => this.#ended(reason)),
    });
    if (refs === 0) ipc.unref();
    if (errno !== 0) this.#failBy(errors.errnoException(errno, 'epoll_ctl'));
  }

  get control() {
    return this.#control;
  }

  /** Delivers the messages that came before a listener, when `emitter` gets one. */
  deliverPendingTo(emitter) {
    this.#inbox.deliverPendingTo(emitter);
  }

  /** Sends an internal message, in order with the user's messages. */
  sendInternal(message) {
    this.#outbox.sendInternal(message, () => {});
  }

  /** Sends the answer to an internal message. A peer that asks but does not read is at fault. */
  answer(message) {
    this.#queuedAnswers += 1;
    this.#outbox.sendInternal(message, () => {
      this.#queuedAnswers -= 1;
    });
    if (this.#queuedAnswers > MOST_ANSWERS) {
      this.fail('the IPC channel is full of answers that are not read');
    }
  }

  /** Delivers all that a dead peer has sent, then calls back. */
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

  /** `process.disconnect()`: closes the channel as soon as nothing is queued. */
  disconnect() {
    if (!this.#target.connected) {
      this.#target.emit('error', errors.ipcDisconnected());
      return;
    }
    this.hasLeft = true;
    this.#target.connected = false;
    if (this.#outbox.isEmpty) this.#close();
  }

  /** `process._disconnect()`: closes the channel at once, even if messages are queued. */
  disconnectNow() {
    if (this.#target.channel === null) throw errors.channelAssertion();
    this.hasLeft = true;
    this.#target.connected = false;
    this.#close();
  }

  /** The peer has closed the channel, or has broken the protocol for a reason. */
  #ended(reason) {
    if (reason !== null && reason !== undefined) this.fail(reason);
    if (this.#target.channel === null) return;
    this.#target.connected = false;
    this.#close();
  }

  #close() {
    if (this.#target.channel === null) return;
    this.#target.channel = null;
    this.#outbox.stopWaiting();
    this.#sockets.end();
    this.#outbox.dropQueued();
    nextTick(() => {
      const reason = this.#ipc.close();
      if (reason != null) nextTick(this.#onFault, errors.protocolError(reason));
      this.#beforeDisconnect(() => {
        emitThen(() => this.#target.emit('disconnect'), this.#onClosed);
      });
    });
  }
}

module.exports = Channel;
