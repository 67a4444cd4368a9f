'use strict';

const { descriptorOf, isIdle, keepAliveLeft, limitsRequests } = require('../node/http-idle.js');
const { setTimeout } = require('../real-timers.js');

// So few that requests do not have to wait noticeably.
const MOVES_A_TURN = 64;
// How long to wait after the engine could take no connection, in milliseconds.
const PAUSE = 5;

/** Gives idle HTTP/1 connections to the engine, where they wait for another worker. */
class Moves {
  /** The listeners of which other workers can take connections. */
  takers = new Set();
  #lanes;
  #onRetry;
  #moved = 0;
  /** What the engine could not take now; null if it can. */
  #refused = null;

  /** `onRetry` is called with connections that could not be moved, when it is time to try again. */
  constructor(lanes, onRetry) {
    this.#lanes = lanes;
    this.#onRetry = onRetry;
  }

  beginTurn() {
    this.#moved = 0;
  }

  /** Whether no more connections are to move in this turn. */
  get isTurnFull() {
    return this.#moved >= MOVES_A_TURN;
  }

  /** Whether a connection can move as soon as it is idle. */
  areFor({ isPlainHttp, isPinned, protocol, listener, server }) {
    return (
      isPlainHttp &&
      !isPinned &&
      protocol === 'http1' &&
      this.takers.has(listener) &&
      !limitsRequests(server)
    );
  }

  moveIfIdle(connection, idleSockets) {
    if (!isIdle(connection, idleSockets)) return;
    const left = keepAliveLeft(connection);
    // Node is about to close it.
    if (left <= 0) return;
    if (this.#refused !== null) this.#refused.push(connection);
    else if (this.#lanes.park(connection.listener, descriptorOf(connection), left)) {
      this.#moved += 1;
      // The client does not notice, because the engine has a duplicate of the descriptor.
      connection.socket.destroy();
    } else this.#retryLater(connection);
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
