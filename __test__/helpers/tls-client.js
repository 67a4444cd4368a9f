'use strict';

const { once } = require('node:events');
const { readFileSync } = require('node:fs');
const http2 = require('node:http2');
const tls = require('node:tls');
const { text } = require('./client');
const { fixturePath } = require('./fixture');

const ca = readFileSync(fixturePath('shared/keys/cert.pem'));

const requests = {
  tls: text,
  async https(socket) {
    socket.write('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
    const answer = await text(socket);
    return answer.slice(answer.indexOf('{'), answer.lastIndexOf('}') + 1);
  },
  async http2(socket) {
    const session = http2.connect('https://localhost', { createConnection: () => socket });
    const answer = await text(session.request());
    session.close();
    await once(socket, 'close');
    return answer;
  },
};

/**
 * Connects to a server of `fixtures/listen/tls-worker.js`, and asks it.
 *
 * @param {object} target where it listens
 * @param {object} options for `tls.connect()`: `session`, `servername`, …
 * @param {string} options.kind of the server
 * @param {string} options.version of TLS
 * @returns the answer; whether the session was resumed, and the next session, if there is one
 */
async function visit(target, { kind = 'https', version = 'TLSv1.3', ...options } = {}) {
  const socket = tls.connect({
    ...target,
    ca,
    checkServerIdentity: () => undefined,
    minVersion: version,
    maxVersion: version,
    ALPNProtocols: kind === 'http2' ? ['h2'] : undefined,
    ...options,
  });
  let session;
  socket.on('session', (ticket) => {
    session = ticket;
  });
  await once(socket, 'secureConnect');
  const isReused = socket.isSessionReused();
  const answer = JSON.parse(await requests[kind](socket));
  return { ...answer, isReused, session };
}

/**
 * Visits one after the other, each with the session of the one before.
 *
 * @param {(visits: object[]) => boolean | Promise<boolean>} isEnough
 * @returns {Promise<object[]>} what `visit` returns; the first has begun a session
 */
async function visits(target, options, isEnough) {
  const all = [];
  let { session } = options;
  do {
    const next = await visit(target, { ...options, session });
    session = next.session ?? session;
    all.push(next);
  } while (!(await isEnough(all)));
  return all;
}

/** Which part of them has resumed a session. */
function resumed(all) {
  return all.filter(({ isReused }) => isReused).length / all.length;
}

module.exports = { resumed, visit, visits };
