'use strict';

// What Node shows of an IPC channel and does not document: lib/internal/child_process.js, setupChannel()
// and the class Control.

const EventEmitter = require('node:events');
const { deprecate } = require('node:util');

const INTERNAL_PREFIX = 'NODE_';
const majorVersion = Number.parseInt(process.versions.node, 10);

/** What users see as `process.channel`: it keeps the event loop running, or does not. */
class Control extends EventEmitter {
  #ipc;
  #refs;
  #isDecided = false;

  /** @param {number} refs how many listeners and handles count already */
  constructor(ipc, refs) {
    super();
    this.#ipc = ipc;
    this.#refs = refs;
  }

  // Once the user has called ref() or unref(), counting changes nothing.
  refCounted() {
    this.#refs += 1;
    if (this.#refs === 1 && !this.#isDecided) this.#ipc.ref();
  }

  unrefCounted() {
    this.#refs -= 1;
    if (this.#refs === 0 && !this.#isDecided) {
      this.#ipc.unref();
      this.emit('unref');
    }
  }

  ref() {
    this.#isDecided = true;
    this.#ipc.ref();
  }

  unref() {
    this.#isDecided = true;
    this.#ipc.unref();
  }

  get fd() {
    return this.#ipc.fd === -1 ? undefined : this.#ipc.fd;
  }
}

/** Gives `target` the members of a process with an open channel, in Node's order. */
function showChannel(target, control, outbox, channel) {
  target.connected = true;
  target.channel = control;
  target.send = (message, handle, options, callback) =>
    outbox.send(message, handle, options, callback);
  target._send = (message, handle, options, callback) =>
    outbox.sendUnchecked(message, handle, options, callback);
  target.disconnect = () => channel.disconnect();
  target._disconnect = () => channel.disconnectNow();
  showDeprecated(target);
}

/** Node has `_channel` until version 26. */
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

/** Counts listeners of `process` as Node does in every process that `child_process.fork()` starts. */
function refByListeners(control) {
  const counts = (name) => name === 'message' || name === 'disconnect';
  process.on('newListener', (name) => {
    if (counts(name)) control.refCounted();
  });
  process.on('removeListener', (name) => {
    if (counts(name)) control.unrefCounted();
  });
}

/** Whether Node keeps the message from listeners of 'message'. */
function isInternal(message) {
  return (
    message !== null &&
    typeof message === 'object' &&
    typeof message.cmd === 'string' &&
    message.cmd.length > INTERNAL_PREFIX.length &&
    message.cmd.startsWith(INTERNAL_PREFIX)
  );
}

function emitInternal(target, message, handle) {
  target.emit('internalMessage', message, handle);
}

module.exports = { Control, emitInternal, isInternal, refByListeners, showChannel };
