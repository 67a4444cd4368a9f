'use strict';

// A server counts its sockets that were sent to other processes: `getConnections()` asks those processes, and
// 'close' waits until they have closed the sockets. Each end of a channel has a list of what it was sent.

const { countSent } = require('../node/handles.js');
const internal = require('./internal-messages.js');

const { Act } = internal;

// Questions of one server that wait. A server asks once, when it closes.
const MOST_WAITING = 1024;

/** The `SentSockets` of each server. */
const sent = new WeakMap();
let lastKey = 0;

/**
 * The sockets that a server has sent, to whichever processes: what a net.Server takes for one of its workers.
 */
class SentSockets {
  /** Identifies the server in messages. */
  key;
  /** The lists of the channels by which sockets were sent. */
  holders = new Set();

  constructor() {
    lastKey += 1;
    this.key = lastKey;
  }

  getConnections(callback) {
    this.#ask(internal.countSockets, (count) => callback(null, count));
  }

  close(callback) {
    this.#ask(internal.awaitSockets, () => callback());
  }

  /**
   * Registers nothing: the server would forget this object on 'exit', but when one process exits, others have
   * sockets.
   */
  once() {}

  /** Calls back with the sum of the answers, in the context of the last one, as Node does. */
  #ask(toMessage, callback) {
    let sum = 0;
    let left = this.holders.size;
    const onAnswer = (count) => {
      sum += count;
      left -= 1;
      if (left === 0) callback(sum);
    };
    if (left === 0) callback(0);
    for (const holder of [...this.holders]) holder.ask(toMessage, this.key, onAnswer);
  }
}

/** The sockets of servers that were sent by one channel, in either direction. */
class SocketList {
  #channel;
  /**
   * Servers of the peer, by key: `{open, waiting}`, the number of open sockets here, and questions to answer
   * at the end of the last one.
   */
  #received = new Map();
  /** The `SentSockets` of servers here whose sockets the peer has got. */
  #sent = new Set();
  /** Callbacks of questions that the peer has not answered, by number. */
  #asked = new Map();
  #lastQuestion = 0;

  constructor(channel) {
    this.#channel = channel;
  }

  /** A socket of this server was sent to the peer. */
  add(sockets) {
    this.#sent.add(sockets);
    sockets.holders.add(this);
  }

  /** The peer has sent a socket of its server. */
  track(key, socket) {
    const entry = this.#received.get(key) ?? { open: 0, waiting: [] };
    this.#received.set(key, entry);
    entry.open += 1;
    socket.once('close', () => {
      entry.open -= 1;
      if (entry.open > 0) return;
      this.#received.delete(key);
      for (const question of entry.waiting) this.#answer(question, 0);
    });
  }

  /**
   * Calls back with how many of the server's sockets the peer has: none when the channel closes.
   *
   * @param {(key: number, question: number) => object} toMessage makes the internal message that asks
   */
  ask(toMessage, key, callback) {
    this.#lastQuestion += 1;
    const question = this.#lastQuestion;
    this.#channel.sendInternal(toMessage(key, question));
    this.#channel.control.refCounted();
    this.#asked.set(question, callback);
  }

  /** Takes an internal message of the peer. Returns whether it is about sockets. */
  receive({ act, key, question, count }) {
    const entry = this.#received.get(key);
    if (act === Act.COUNT_SOCKETS) this.#answer(question, entry?.open ?? 0);
    else if (act === Act.AWAIT_SOCKETS && entry) this.#wait(entry, question);
    else if (act === Act.AWAIT_SOCKETS) this.#answer(question, 0);
    else if (act === Act.SOCKETS && this.#asked.has(question)) this.#resolve(question, count);
    else return false;
    return true;
  }

  /** The channel is closed. */
  end() {
    for (const { holders } of this.#sent) holders.delete(this);
    for (const question of this.#asked.keys()) this.#resolve(question, 0);
  }

  #wait({ waiting }, question) {
    if (waiting.length < MOST_WAITING) waiting.push(question);
    else this.#channel.fail('the IPC channel carries more questions than there can be');
  }

  #answer(question, count) {
    this.#channel.answer(internal.sockets(question, count));
  }

  #resolve(question, count) {
    const callback = this.#asked.get(question);
    this.#asked.delete(question);
    this.#channel.control.unrefCounted();
    callback(count);
  }
}

/** The `SentSockets` of a server, which counts them from now on. */
function socketsOf(server) {
  if (!sent.has(server)) {
    sent.set(server, new SentSockets());
    countSent(server, sent.get(server));
  }
  return sent.get(server);
}

module.exports = { SocketList, socketsOf };
