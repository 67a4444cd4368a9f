'use strict';

const { once } = require('node:events');
const net = require('node:net');
const { serial } = require('ava');
const { start } = require('../helpers/fixture');
const { isBuiltin } = require('../helpers/implementation');

const test = isBuiltin ? serial.skip : serial;

// Frames of HTTP/2.
const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
const [SETTINGS, PING, GOAWAY] = [4, 6, 7];
const ACK = 1;
const HEAD_LENGTH = 9;

function frame(type, flags, payload = Buffer.alloc(0)) {
  const head = Buffer.from([0, 0, payload.length, type, flags, 0, 0, 0, 0]);
  return Buffer.concat([head, payload]);
}

function* framesIn(bytes) {
  for (let at = 0; at < bytes.length; ) {
    const payload = at + HEAD_LENGTH;
    const next = payload + bytes.readUIntBE(at, 3);
    if (next > bytes.length) return;
    yield { type: bytes[at + 3], flags: bytes[at + 4], payload: bytes.subarray(payload, next) };
    at = next;
  }
}

/** Connects a client that answers pings, sends no request, and leaves it to the server to end the session. */
async function open(t, port) {
  const socket = net.connect(port, '127.0.0.1');
  t.teardown(() => socket.destroy());
  socket.write(PREFACE);
  socket.write(frame(SETTINGS, 0));
  const client = { frames: [], ended: once(socket, 'end') };
  let received = Buffer.alloc(0);
  socket.on('data', (data) => {
    received = Buffer.concat([received, data]);
    const frames = [...framesIn(received)];
    for (const { type, flags, payload } of frames.slice(client.frames.length)) {
      if (type === PING && flags !== ACK) socket.write(frame(PING, ACK, payload));
    }
    client.frames = frames;
  });
  await once(socket, 'data');
  return client;
}

test('an idle HTTP/2 session ends even if Node has not ended it', async (t) => {
  const app = start(t, 'drain/replaced-programs', { args: ['../unended-sessions'] });
  const [{ port }] = await Promise.all([1, 2].map((id) => app.line({ listening: id })));
  // One for each worker.
  const clients = [await open(t, port), await open(t, port)];
  for (const id of [1, 2]) {
    app.send({ id });
    t.like(await app.line({ replaced: id }), { cut: 0, code: 0, signal: null });
  }
  for (const client of clients) {
    await client.ended;
    t.true(client.frames.some(({ type }) => type === GOAWAY));
  }
  await app.end();
});
