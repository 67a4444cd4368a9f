'use strict';

const { Socket } = require('node:net');
const { descriptorOf } = require('../node/handles.js');
const { isIdle, keepAliveLeft, limitsRequests } = require('../node/http-idle.js');
const { Protocol } = require('../node/servers.js');
const { now, setTimeout } = require('../real-timers.js');

// So few that requests do not have to wait noticeably.
const MOVES_A_TURN = 64;
// How long to wait after the engine could take no connection, in milliseconds.
const PAUSE = 5;
// A worker may make 10,000 requests of the engine at once, and then 5 in a millisecond
// (src/primary/core/quota.rs). Some are left for other purposes.
const MOVES_AT_ONCE = 8_000;
const MOVES_A_MILLISECOND = 4.5;

// The program may replace it: it must not be late, or the client's bytes come to this process.
const { destroy } = Socket.prototype;

/** Gives idle HTTP/1 connections to the engine, where they wait for another worker. */
class Moves {
  /** The listeners of which other workers can take connections. */
  takers = new Set();
  #lanes;
  #onRetry;
  #moved = 0;
  /** What the engine could not take now; null if it can. */
  #refused = null;
  #allowed = MOVES_AT_ONCE;
  /** When that was so. */
  #allowedAt = now();

  /** `onRetry` is called with connections that could not be moved, when it is time to try again. */
  constructor(lanes, onRetry) {
    this.#lanes = lanes;
    this.#onRetry = onRetry;
  }

  beginTurn() {
    this.#moved = 0;
    const time = now();
    const more = (time - this.#allowedAt) * MOVES_A_MILLISECOND;
    this.#allowed = Math.min(this.#allowed + more, MOVES_AT_ONCE);
    this.#allowedAt = time;
  }

  /** Whether no more connections are to move in this turn. */
  get isTurnFull() {
    return this.#moved >= MOVES_A_TURN;
  }

  /** Whether a connection can move as soon as it is idle. */
  areFor({ isPlainHttp, isPinned, hasMoved, protocol, listener, server }) {
    return (
      isPlainHttp &&
      !isPinned &&
      !hasMoved &&
      protocol === Protocol.HTTP1 &&
      this.takers.has(listener) &&
      !limitsRequests(server)
    );
  }

  moveIfIdle(connection, idleSockets) {
    if (this.#refused !== null) {
      this.#refused.push(connection);
      return;
    }
    if (!isIdle(connection, idleSockets)) return;
    const left = keepAliveLeft(connection);
    // Node is about to close it.
    if (left <= 0) return;
    if (this.#allowed >= 1 && this.#park(connection, left)) {
      this.#moved += 1;
      this.#allowed -= 1;
      // The client does not notice, because the engine has a duplicate of the descriptor.
      connection.hasMoved = true;
      destroy.call(connection.socket);
    } else this.#retryLater(connection);
  }

  /** Returns whether the engine has the connection. */
  #park(connection, left) {
    const { listener, handle } = connection;
    return this.#lanes.park(listener, descriptorOf(handle), left);
  }

  #retryLater(connection) {
    this.#refused = [connection];
    setTimeout(() => {
      const refused = this.#refused;
      this.#refused = null;
      this.#onRetry(refused);
    }, PAUSE);
  }
}

module.exports = Moves;
