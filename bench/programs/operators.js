'use strict';

// Clients of an admin endpoint, of the kind that the first argument names, on the port that the second names. It
// runs until stdin ends, and then prints what its clients have done.

const http = require('node:http');
const net = require('node:net');
const os = require('node:os');
const { setTimeout } = require('node:timers/promises');

/** The clients leave the processors to what is measured. */
const NICE = 10;
const HOST = '127.0.0.1';
const SCRAPE_EVERY_MS = 100;
const SLOW_CLIENTS = 500;
const BYTE_EVERY_MS = 1_000;
const FLOODING_CLIENTS = 32;
const PATHS = ['/metrics', '/status'];

const [, , kind, port] = process.argv;
const target = { host: HOST, port: Number(port) };
const counts = { answered: 0, refused: 0, connected: 0, sentAway: 0 };
let isEnding = false;

/** Resolves when the answer has come, or the server has closed the connection. */
function get(path, agent) {
  return new Promise((resolve) => {
    const request = http.get({ ...target, path, agent }, (response) => {
      response.resume().once('close', () => {
        counts[response.statusCode === 200 ? 'answered' : 'refused'] += 1;
        resolve();
      });
    });
    request.once('error', () => {
      counts.refused += 1;
      resolve();
    });
  });
}

/** Resolves when the connection has ended. `use` gets it once it is open. */
function connect(use) {
  return new Promise((resolve) => {
    const socket = net.connect(target, () => {
      counts.connected += 1;
      use(socket);
    });
    socket.on('error', () => {}).once('close', resolve);
    socket.resume();
  });
}

/** One byte of a head after the other. */
async function dribble(socket) {
  socket.write('GET /status HTTP/1.1\r\nHost: localhost\r\nX: ');
  while (!socket.closed && !isEnding) {
    await setTimeout(BYTE_EVERY_MS);
    if (!socket.closed) socket.write('a');
  }
}

async function repeat(act) {
  while (!isEnding) await act();
}

function many(count, act) {
  return Promise.all(Array.from({ length: count }, (_, index) => repeat(() => act(index))));
}

const KINDS = {
  none: () => {},
  scrapes: () => repeat(() => Promise.all([get('/metrics'), setTimeout(SCRAPE_EVERY_MS)])),
  slow: () =>
    many(SLOW_CLIENTS, async () => {
      await connect(dribble);
      counts.sentAway += 1;
      await setTimeout(BYTE_EVERY_MS);
    }),
  flood: () => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: FLOODING_CLIENTS });
    return many(FLOODING_CLIENTS, (index) => get(PATHS[index % PATHS.length], agent));
  },
  connections: () =>
    many(FLOODING_CLIENTS, () => connect((socket) => socket.end('GET /livez HTTP/1.0\r\n\r\n'))),
};

os.setPriority(NICE);
process.stdin.resume().once('end', () => {
  isEnding = true;
  process.stdout.write(`${JSON.stringify(counts)}\n`, () => process.exit());
});
KINDS[kind]();
process.stdout.write(`${JSON.stringify({ kind })}\n`);
