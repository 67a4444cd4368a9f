'use strict';

const { once } = require('node:events');
const { WebSocket } = require('ws');

const CLIENTS = 4;

/**
 * Starts clients that send messages, wait for the echo of each, and connect again when the server closes the
 * connection. `ends` has how each connection has ended: `{ code, reason, at }`, and `error` after a reset.
 */
async function startWebSockets({ host, port }) {
  const ends = [];
  let isEnded = false;

  async function connect() {
    const socket = new WebSocket(`ws://${host}:${port}`);
    const end = { echoes: 0 };
    socket.once('upgrade', (response) => {
      response.socket.once('error', ({ code }) => Object.assign(end, { error: code }));
    });
    socket.once('error', ({ message }) => Object.assign(end, { error: message }));
    socket.on('message', (message) => {
      if (`${message}` !== `${end.echoes}`) end.error = `got ${message} instead of ${end.echoes}`;
      end.echoes += 1;
      socket.send(`${end.echoes}`);
    });
    await once(socket, 'open');
    socket.send('0');
    return { socket, end };
  }

  async function run(opened) {
    for (let current = opened; ; current = await connect()) {
      const { socket, end } = current;
      if (isEnded) socket.terminate();
      running.add(socket);
      const [code, reason] = await once(socket, 'close');
      running.delete(socket);
      if (isEnded) return;
      ends.push({ ...end, code, reason: `${reason}`, at: Date.now() });
    }
  }

  const running = new Set();
  const first = await Promise.all(Array.from({ length: CLIENTS }, connect));
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

module.exports = { startWebSockets };
