'use strict';

const net = require('node:net');
const test = require('ava');
const Moves = require('../../lib/worker/moves.js');

const CONNECTIONS = 20_000;
// The quota of src/primary/core/quota.rs.
const AT_ONCE = 10_000;
const A_MILLISECOND = 5;

/** A connection that is idle, as far as `Moves` can see. */
function idleConnection() {
  const handle = { fd: 1, bytesRead: 0, bytesWritten: 0, close: (callback) => callback() };
  const socket = new net.Socket();
  Object.assign(socket, { _handle: handle, parser: { socket } });
  const server = { headersTimeout: 1000 };
  return { socket, outermost: socket, handle, server, listener: 1, pending: 0, finishedAt: 0 };
}

test('a worker moves no more connections than the engine hears of one worker', async (t) => {
  const times = [];
  const lanes = { park: () => times.push(performance.now()) > 0 };
  let unmoved = Array.from({ length: CONNECTIONS }, idleConnection);
  let retry;
  const moves = new Moves(lanes, (refused) => retry(refused));
  moves.takers.add(1);
  while (unmoved.length > 0) {
    const refused = new Promise((resolve) => {
      retry = resolve;
    });
    const before = times.length;
    const now = unmoved.splice(0);
    for (const connection of now) {
      if (moves.isTurnFull) moves.beginTurn();
      moves.moveIfIdle(connection, { has: () => true });
    }
    if (times.length - before < now.length) unmoved = await refused;
    moves.beginTurn();
  }
  t.is(times.length, CONNECTIONS);
  const allowed = (count) => AT_ONCE + (times[count] - times[0]) * A_MILLISECOND;
  const excess = times.findIndex((_, count) => count > allowed(count));
  t.is(excess, -1);
});
