'use strict';

const { once } = require('node:events');
const { io } = require('socket.io-client');

const CLIENTS = 4;
// How long a client waits between two messages, in milliseconds.
const THOUGHT = 3;

/**
 * Starts clients of socket.io that send messages by WebSockets, wait until each is acknowledged, and connect
 * again. `ends` has how each connection has ended: `{ code, reason, at }`, where `reason` is that of the
 * good-bye.
 */
async function startSocketIo({ host, port }) {
  const ends = [];
  const sockets = Array.from({ length: CLIENTS }, () => {
    const socket = io(`http://${host}:${port}`, {
      forceNew: true,
      transports: ['websocket'],
      reconnectionDelay: 10,
    });
    let end;
    socket.on('connect', () => {
      end = { reason: '' };
      exchange(socket, end);
    });
    socket.on('connect_error', ({ message }) => ends.push({ error: message }));
    socket.on('good-bye', (reason) => Object.assign(end, { reason }));
    socket.on('disconnect', (code) => {
      if (code === 'io client disconnect') return;
      ends.push({ ...end, code, at: Date.now() });
      // The client does not connect again by itself if the server has disconnected it.
      if (code === 'io server disconnect') socket.connect();
    });
    return socket;
  });
  await Promise.all(sockets.map((socket) => once(socket, 'connect')));
  return {
    clients: CLIENTS,
    ends,
    async end() {
      for (const socket of sockets) socket.disconnect();
    },
  };
}

/** Sends one message after the other until the connection ends. */
function exchange(socket, end) {
  const { id } = socket;
  let echoes = 0;
  const send = () => {
    if (socket.id !== id) return;
    socket.emit('echo', echoes, (echo) => {
      if (echo !== echoes) end.error = `got ${echo} instead of ${echoes}`;
      echoes += 1;
      setTimeout(send, THOUGHT);
    });
  };
  send();
}

module.exports = { startSocketIo };
