'use strict';

// How a worker that drains ends HTTP/2 sessions.

const { once } = require('node:events');
const http2 = require('node:http2');
const test = require('ava');
const { startDrainApp } = require('../helpers/drain-app.js');
const { connect } = require('../helpers/http-client.js');

const STREAMS = 32;
const BUSY = 8;
const REFUSED = /NGHTTP2_REFUSED_STREAM|session has been destroyed|GOAWAY|goaway/;

// Frames of HTTP/2, byte by byte.
const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
const [HEADERS, SETTINGS, PING, GOAWAY] = [1, 4, 6, 7];
const END_STREAM_AND_HEADERS = 5;
// `:method: GET`, `:scheme: http` and `:authority` by their numbers.
const GET_HOLD = '\x82\x86\x04\x05/hold\x41\x01x';

function frame(type, stream, payload = '') {
  const flags = type === HEADERS ? END_STREAM_AND_HEADERS : 0;
  return String.fromCharCode(0, 0, payload.length, type, flags, 0, 0, 0, stream) + payload;
}

/**
 * A client with one session, which notes the GOAWAY frames that come. Node may send the same one again as it
 * ends the connection.
 */
async function open(t, kind) {
  const app = await startDrainApp(t, { kind });
  const scheme = kind === 'h2' ? 'https' : 'http';
  const authority = `${scheme}://${app.target.host}:${app.target.port}`;
  const session = http2.connect(authority, { rejectUnauthorized: false });
  const goaways = new Set();
  session.on('goaway', (code, last) => goaways.add(`${code}, ${last}`));
  session.on('error', () => {}); // Each request reports it.
  session.closed2 = once(session, 'close');
  await once(session, 'connect');
  return { app, session, goaways };
}

async function ask(session, path) {
  const stream = session.request({ ':path': path });
  let text = '';
  for await (const data of stream.setEncoding('utf8')) text += data;
  return JSON.parse(text);
}

for (const kind of ['h2c', 'h2']) {
  test(`an idle session is closed by one GOAWAY with its last stream: ${kind}`, async (t) => {
    const { app, session, goaways } = await open(t, kind);
    t.deepEqual(await ask(session, '/'), { id: 1 });
    await app.drain(1);
    await session.closed2;
    t.is(await app.drained(1), 0);
    t.deepEqual([...goaways], ['0, 1']);
    await app.end();
  });

  test(`streams that are open end as they would, and the session after them: ${kind}`, async (t) => {
    const { app, session, goaways } = await open(t, kind);
    const answers = Array.from({ length: STREAMS }, () => ask(session, '/hold'));
    await app.line({ from: 1, holds: STREAMS });
    await app.drain(1);
    if (goaways.size === 0) await once(session, 'goaway');
    app.tell(1, 'release');
    t.deepEqual(await Promise.all(answers), Array(STREAMS).fill({ id: 1 }));
    await session.closed2;
    t.is(await app.drained(1), 0);
    t.deepEqual([...goaways], [`0, ${2 * STREAMS - 1}`]);
    await app.end();
  });

  test(`a busy session is closed, and what it accepts is answered: ${kind}`, async (t) => {
    const { app, session, goaways } = await open(t, kind);
    let answered = 0;
    const refused = [];
    const clients = Array.from({ length: BUSY }, async () => {
      while (goaways.size === 0) {
        try {
          await ask(session, '/');
          answered += 1;
          if (answered === 2 * BUSY) app.send({ do: 'drain', id: 1, options: { timeout: 6000 } });
        } catch (error) {
          refused.push(error);
        }
      }
    });
    await Promise.all(clients);
    await session.closed2;
    t.is(await app.drained(1), 0);
    t.is(goaways.size, 1);
    // Requests above the last id have not been run, and may be sent again.
    t.true(refused.length <= BUSY);
    t.true(
      refused.every(({ message }) => REFUSED.test(message)),
      `${refused}`,
    );
    t.true(answered >= 2 * BUSY);
    await app.end();
  });

  test(`a session with an open stream is counted as cut when the time is over: ${kind}`, async (t) => {
    const { app, session } = await open(t, kind);
    const answer = ask(session, '/hold');
    await app.line({ from: 1, holds: 1 });
    await app.drain(1, { timeout: 2000 });
    t.is(await app.drained(1), 1);
    await t.throwsAsync(answer);
    await app.end();
  });
}

test('a session whose client answers no ping is closed in the last third of the time', async (t) => {
  const app = await startDrainApp(t, { kind: 'h2c' });
  const client = await connect(app.target);
  client.write(PREFACE).write(frame(SETTINGS, 0));
  client.write(frame(HEADERS, 1, GET_HOLD));
  await app.line({ from: 1, holds: 1 });
  const start = Date.now();
  await app.drain(1, { timeout: 6000 });
  await client.text(frame(PING, 0, `${'\0'.repeat(8)}`).slice(0, 4));
  await client.text(String.fromCharCode(0, 0, 8, GOAWAY));
  const waited = Date.now() - start;
  t.true(waited > 3900, `${waited} ms`);
  app.tell(1, 'release');
  await client.text('{"id":1}');
  await client.end();
  t.is(await app.drained(1), 0);
  await app.end();
});

test('a session without streams is not counted as cut', async (t) => {
  const app = await startDrainApp(t, { kind: 'h2c' });
  const client = await connect(app.target, { halfOpen: true });
  client.write(PREFACE).write(frame(SETTINGS, 0));
  await client.text(String.fromCharCode(0, 0, 0, SETTINGS));
  await app.drain(1, { timeout: 2000 });
  t.is(await app.drained(1), 0);
  client.destroy();
  await app.end();
});

test('HTTP/1 clients of an HTTP/2 server are told to close', async (t) => {
  const app = await startDrainApp(t, { kind: 'h2' });
  const client = await connect(app.target, { secure: true });
  await client.ask('/');
  await app.drain(1);
  t.is((await client.ask('/')).connection, 'close');
  await client.end();
  t.is(await app.drained(1), 0);
  await app.end();
});
