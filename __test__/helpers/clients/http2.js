'use strict';

const { once } = require('node:events');
const http2 = require('node:http2');
const { text } = require('../client');
const { Load, check } = require('./load');
const { requestOf } = require('./requests');

const SESSIONS = 4;
const STREAMS = 2;
const REFUSED = 'Stream closed with error code NGHTTP2_REFUSED_STREAM';
const EVENTS = 8;

/**
 * Starts clients that share sessions of HTTP/2, several each. They replace a session when the server sends
 * GOAWAY, and repeat the requests that the server has refused.
 *
 * @returns {Load} with `clients`, the number of sessions, `opened`, how many they have opened in all, and
 *   `told`, how many the server has ended by GOAWAY without an error
 */
function startHttp2({ host, port, ca }) {
  const sessions = [];
  const load = new Load(SESSIONS * STREAMS, { ask, close });
  return Object.assign(load, { clients: SESSIONS, opened: 0, told: 0 });

  function sessionOf(index) {
    const found = sessions[index];
    if (found && !found.closed && !found.destroyed) return found;
    load.opened += 1;
    const session = http2.connect(`${ca ? 'https' : 'http'}://${host}:${port}`, { ca });
    session.on('error', () => {}); // Its streams report it.
    session.once('goaway', (code) => {
      if (code === http2.constants.NGHTTP2_NO_ERROR) load.told += 1;
      if (sessions[index] === session) sessions[index] = undefined;
    });
    sessions[index] = session;
    return session;
  }

  async function ask({ client, number, signal }) {
    const wanted = number % 10 === 5 ? streamed() : requestOf({ client, number });
    for (;;) {
      try {
        return await askOnce(sessionOf(client % SESSIONS), wanted, signal);
      } catch (error) {
        if (error.message !== REFUSED) throw error;
      }
    }
  }

  function close() {
    for (const session of sessions) session?.destroy();
  }
}

async function askOnce(session, { method, path, body, verify }, signal) {
  const stream = session.request({ ':method': method, ':path': path }, { signal });
  stream.end(body);
  const [headers] = await Promise.race([once(stream, 'response'), unanswered(stream)]);
  const answer = await text(stream);
  check(`${headers[':status']}`, '200');
  verify(answer);
}

/** Rejects when a stream has closed, which may happen without an error. */
async function unanswered(stream) {
  await once(stream, 'close');
  throw new Error(`the stream has closed with code ${stream.rstCode}`);
}

/** A response in several parts, which takes long. */
function streamed() {
  const numbers = Array.from({ length: EVENTS }, (_, i) => `${i}\n`);
  const expected = `${numbers.join('')}end\n`;
  const verify = (text) => check(text, expected);
  return { method: 'GET', path: `/stream?count=${EVENTS}&ms=10`, body: undefined, verify };
}

module.exports = { startHttp2 };
