'use strict';

const { markDraining } = require('../define-worker.js');
const emitThen = require('../emit-then.js');
const { IdleSockets, hasPartialHead, isParsed } = require('../node/http-idle.js');
const { closeAfter, countRequest } = require('../node/http-responses.js');
const { Protocol, isTls } = require('../node/servers.js');
const { clearInterval, setImmediate, setInterval } = require('../real-timers.js');
const DrainTime = require('./drain-time.js');
const Moves = require('./moves.js');
const warnOfKeepAlive = require('./warn-of-keep-alive.js');

// How often to look at all connections, in milliseconds.
const TICK = 100;

/**
 * How this worker leaves without its clients noticing. Idle HTTP/1 connections move to the engine; what can't
 * move ends with an answer that says so, an HTTP/2 session when it is quiet, and what is the program's own
 * when the program ends it, or in the last third of the time. Then the worker disconnects.
 *
 * It is what `Connections` reports to while the worker drains.
 */
class Drain {
  #lanes;
  #connections;
  #context;
  #worker;
  #disconnect;
  /** Undefined until the engine gives the order to drain. */
  #time;
  #moves;
  /** What to look at in the next turn. */
  #unseen = new Set();
  #isTurnScheduled = false;
  #ticks;
  #isDone = false;

  constructor({ lanes, connections, context, worker, disconnect }) {
    this.#lanes = lanes;
    this.#connections = connections;
    this.#context = context;
    this.#worker = worker;
    this.#disconnect = disconnect;
    this.#moves = new Moves(lanes, (refused) => this.#look(refused));
  }

  /** The engine's order to drain, or to be done with it earlier. */
  order({ timeLeft, reason, takers }) {
    const isFirst = this.#time === undefined;
    // An order that only names other takers must not make the last third shorter.
    if (isFirst || this.#time.isLongerThan(timeLeft)) this.#time = new DrainTime(timeLeft);
    this.#connections.deadline = this.#time.deadline;
    this.#moves.takers = new Set(takers);
    if (!isFirst) return;
    this.#findPartialHeads();
    markDraining(this.#worker);
    const deadline = Date.now() + timeLeft;
    this.#context.nextTick(() => {
      emitThen(
        () => this.#worker.emit('draining', { reason, deadline }),
        () => this.#begin(),
      );
    });
  }

  #begin() {
    this.#connections.observer = this;
    warnOfKeepAlive(this.#connections, this.#worker.id, this.#time.left);
    for (const connection of this.#connections) {
      if (connection.newest !== null) this.#watchHead(connection, connection.newest);
    }
    this.#look(this.#connections);
    // The connections keep the event loop running.
    this.#ticks = setInterval(() => this.#tick(), TICK).unref();
  }

  /** The worker has got another connection: it was already on its way. */
  onOpen(connection) {
    this.#look([connection]);
  }

  onSession(connection) {
    this.#look([connection]);
  }

  onRequest(connection, request, response) {
    countRequest(request);
    this.#watchHead(connection, response);
  }

  onResponse(connection) {
    this.#look([connection]);
    connection.unread?.once('end', () => this.#look([connection]));
  }

  onClose() {
    if (this.#connections.size === 0) this.#scheduleTurn();
  }

  #watchHead(connection, response) {
    closeAfter(
      response.req,
      response,
      () => connection.newest === response && this.#mustClose(connection),
    );
  }

  /** Whether the connection is to end with its next answer. */
  #mustClose(connection) {
    return this.#time.isLastThird || !this.#moves.areFor(connection);
  }

  #look(connections) {
    for (const connection of connections) this.#unseen.add(connection);
    this.#scheduleTurn();
  }

  #scheduleTurn() {
    if (this.#isTurnScheduled) return;
    this.#isTurnScheduled = true;
    setImmediate(() => {
      this.#isTurnScheduled = false;
      if (this.#isOver()) return;
      this.#turn();
    });
  }

  /** Does what can be done now, but not so much that requests would have to wait. */
  #turn() {
    const idleSockets = new IdleSockets();
    this.#moves.beginTurn();
    for (const connection of this.#unseen) {
      if (this.#moves.isTurnFull) {
        this.#scheduleTurn();
        return;
      }
      this.#unseen.delete(connection);
      if (!connection.hasEnded) this.#lookAt(connection, idleSockets);
    }
    if (this.#connections.size === 0) this.#finish();
  }

  #lookAt(connection, idleSockets) {
    if (this.#moves.areFor(connection)) this.#moves.moveIfIdle(connection, idleSockets);
    else connection.http2?.closeWhenQuiet();
  }

  #tick() {
    if (this.#isOver()) return;
    for (const connection of this.#connections) connection.http2?.endIfDone();
    this.#findPartialHeads();
    if (this.#time.isLastThird) this.#endOthers();
    this.#look(this.#connections);
  }

  /** Clients that have sent the beginning of a request would be cut. */
  #findPartialHeads() {
    const idleSockets = new IdleSockets();
    for (const connection of this.#connections) {
      if (connection.protocol !== Protocol.HTTP1) continue;
      // Not all upgrades are noticed as they happen.
      if (isOther(connection)) connection.protocol = Protocol.OTHER;
      connection.hasPartialHead = hasPartialHead(connection, idleSockets);
      connection.updateEngaged();
    }
  }

  /** Ends what does not end by itself. */
  #endOthers() {
    const others = [];
    for (const connection of this.#connections) {
      connection.http2?.close();
      if (isOther(connection) && !connection.outermost.writableEnded) others.push(connection);
    }
    // Spread over the time that is left, so that not all clients come back at the same moment.
    const count = Math.ceil(others.length / this.#time.stepsLeft(TICK));
    for (const { outermost } of others.slice(0, count)) outermost.end();
  }

  #finish() {
    if (this.#isDone) return;
    this.#isDone = true;
    clearInterval(this.#ticks);
    this.#lanes.drained();
    this.#disconnect();
  }

  /** Whether the worker has disconnected: without a primary it goes on as the program likes. */
  #isOver() {
    if (process.connected) return false;
    clearInterval(this.#ticks);
    return true;
  }
}

/** Whether a connection is the program's own, and the program can end it. */
function isOther(connection) {
  const { protocol, outermost, server, secure } = connection;
  if (outermost === undefined) return false;
  if (protocol === Protocol.OTHER) return true;
  // A program that reads itself from the sockets of an HTTP server. On TLS the handshake may be going on.
  const isOpen = !isTls(server) || secure !== undefined;
  return protocol === Protocol.HTTP1 && isOpen && !isParsed(connection);
}

module.exports = Drain;
