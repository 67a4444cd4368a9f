'use strict';

const { once } = require('node:events');
const { WebSocket } = require('ws');

const CLIENTS = 4;
// How long a client waits between an echo and its next message, in milliseconds.
const THOUGHT = 3;

/**
 * Starts clients that send messages, wait for the echo of each, and connect again when the server closes the
 * connection. `ends` has how each connection has ended: `{ code, reason, at }`, and `error` after a reset.
 */
async function startWebSockets({ host, port }) {
  const ends = [];
  const running = new Set();
  let isEnded = false;

  /** One connection after the other, until the clients end or one of them can't connect. */
  async function run(opened) {
    try {
      for (let current = opened; ; current = await connect(`ws://${host}:${port}`)) {
        running.add(current.socket);
        if (isEnded) current.socket.terminate();
        const end = await current.ended;
        running.delete(current.socket);
        if (isEnded) return;
        ends.push(end);
      }
    } catch (error) {
      ends.push({ error: error.message });
    }
  }

  const first = await Promise.all(
    Array.from({ length: CLIENTS }, () => connect(`ws://${host}:${port}`)),
  );
  const loops = first.map(run);
  return {
    clients: CLIENTS,
    ends,
    async end() {
      isEnded = true;
      for (const socket of running) socket.terminate();
      await Promise.all(loops);
    },
  };
}

/** Resolves to a connection that exchanges messages, and to the promise of how it ends. */
async function connect(url) {
  const socket = new WebSocket(url);
  let echoes = 0;
  let trouble;
  const send = () => socket.readyState === WebSocket.OPEN && socket.send(`${echoes}`);
  socket.once('upgrade', (response) => {
    response.socket.once('error', ({ code }) => {
      trouble = code;
    });
  });
  socket.on('message', (message) => {
    if (`${message}` !== `${echoes}`) trouble = `got ${message} instead of ${echoes}`;
    echoes += 1;
    setTimeout(send, THOUGHT);
  });
  await once(socket, 'open');
  send();
  const ended = once(socket, 'close').then(([code, reason]) => ({
    ...{ code, reason: `${reason}`, error: trouble, at: Date.now() },
  }));
  return { socket, ended };
}

module.exports = { startWebSockets };
