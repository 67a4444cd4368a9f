'use strict';

// How a worker that drains ends HTTP/2 sessions.

const { once } = require('node:events');
const http2 = require('node:http2');
const test = require('ava');
const { startDrainApp } = require('../helpers/drain-app.js');
const { connect } = require('../helpers/http-client.js');

const STREAMS = 32;

/** A client with one session, which counts the GOAWAY frames that come. */
async function open(t, kind) {
  const app = await startDrainApp(t, { kind });
  const scheme = kind === 'h2' ? 'https' : 'http';
  const authority = `${scheme}://${app.target.host}:${app.target.port}`;
  const session = http2.connect(authority, { rejectUnauthorized: false });
  const goaways = [];
  session.on('goaway', (code, last) => goaways.push({ code, last }));
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
    t.deepEqual(goaways, [{ code: 0, last: 1 }]);
    await app.end();
  });

  test(`streams that are open end as they would, and the session after them: ${kind}`, async (t) => {
    const { app, session, goaways } = await open(t, kind);
    const answers = Array.from({ length: STREAMS }, () => ask(session, '/hold'));
    await app.line({ from: 1, holds: STREAMS });
    await app.drain(1);
    await once(session, 'goaway');
    app.tell(1, 'release');
    t.deepEqual(await Promise.all(answers), Array(STREAMS).fill({ id: 1 }));
    await session.closed2;
    t.is(await app.drained(1), 0);
    t.deepEqual(goaways, [{ code: 0, last: 2 * STREAMS - 1 }]);
    await app.end();
  });

  test(`a session that is never quiet is closed in the last third of the time: ${kind}`, async (t) => {
    const { app, session, goaways } = await open(t, kind);
    let isOver = false;
    session.once('goaway', () => {
      isOver = true;
    });
    let answered = 0;
    const refused = [];
    // More than one at a time, so that one comes before each pong.
    const clients = Array.from({ length: 8 }, async () => {
      while (!isOver) {
        try {
          await ask(session, '/');
          answered += 1;
        } catch (error) {
          // Streams above the last id of the GOAWAY have not been run, and may be tried again.
          refused.push(error.code);
          return;
        }
      }
    });
    await app.drain(1, { timeout: 1500 });
    await Promise.all(clients);
    t.true(answered > 0);
    t.is(await app.drained(1), 0);
    t.is(goaways.length, 1);
    t.true(
      refused.every((code) => code === 'ERR_HTTP2_STREAM_ERROR'),
      `${refused}`,
    );
    await app.end();
  });

  test(`a session with an open stream is counted as cut when the time is over: ${kind}`, async (t) => {
    const { app, session } = await open(t, kind);
    const answer = ask(session, '/hold');
    await app.line({ from: 1, holds: 1 });
    await app.drain(1, { timeout: 600 });
    t.is(await app.drained(1), 1);
    await t.throwsAsync(answer);
    await app.end();
  });
}

test('a session without streams is not counted as cut', async (t) => {
  const { app, session } = await open(t, 'h2');
  await ask(session, '/');
  // A client that is stopped answers no pings, and sees no GOAWAY.
  session.socket._handle?.readStop?.();
  await app.drain(1, { timeout: 300 });
  t.is(await app.drained(1), 0);
  session.destroy();
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
