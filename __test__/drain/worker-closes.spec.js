'use strict';

// When an answer of a worker that drains says `Connection: close`, and when it does not.

const test = require('ava');
const { startDrainApp } = require('../helpers/drain-app.js');
const { connect, toRequest } = require('../helpers/http-client.js');
const { HEADS } = require('../fixtures/drain/answers.js');

const PIPELINED = 16;

/** Starts a worker that no other one takes connections from. */
async function startAlone(t, options) {
  const app = await startDrainApp(t, { kind: 'http', ...options });
  const client = await connect(app.target, { secure: options?.kind === 'https' });
  return { app, client };
}

async function end(t, app, client, cut = 0) {
  t.is(await app.drained(1), cut);
  await client.end();
  await app.end();
}

for (const form of Object.keys(HEADS)) {
  test(`an answer says close, whatever its head says: ${form}`, async (t) => {
    const { app, client } = await startAlone(t);
    client.send('/head', { 'X-Form': form });
    await app.line({ holds: 1 });
    await app.drain(1);
    app.tell(1, 'release');
    let answer = await client.answer();
    if (answer.status === 103) answer = await client.answer();
    const { status, reason, connection, headers, body } = answer;
    t.deepEqual([status, connection, body], [200, 'close', 'x']);
    if (form.startsWith('reason')) t.is(reason, 'Fine');
    const isHere = headers.some(([name, value]) => name === 'X-Is' && value === 'here');
    t.is(isHere, `${HEADS[form]}`.includes('X-Is'));
    if (form === 'pairs') t.is(headers.filter(([name]) => name === 'Set-Cookie').length, 2);
    await end(t, app, client);
  });
}

test('an answer to a request that comes while the worker drains says close', async (t) => {
  const { app, client } = await startAlone(t);
  await client.ask('/');
  await app.drain(1);
  t.is((await client.ask('/later')).connection, 'close');
  await end(t, app, client);
});

test('a head that is out is not changed, and the next one says close', async (t) => {
  const { app, client } = await startAlone(t);
  client.send('/hold-body');
  await client.text('begun,');
  await app.line({ holds: 1 });
  await app.drain(1);
  app.tell(1, 'release');
  await client.text('0\r\n\r\n');
  t.is((await client.ask('/')).connection, 'close');
  await end(t, app, client);
});

for (const url of ['/', '/later']) {
  test(`of pipelined requests that came before, none but the last answer says close: ${url}`, async (t) => {
    const { app, client } = await startAlone(t);
    client.send('/hold');
    await app.line({ holds: 1 });
    client.write(toRequest(url, {}, '', 'GET').repeat(PIPELINED - 1));
    await app.untilRead(1, client.sent);
    await app.drain(1);
    app.tell(1, 'release');
    const says = [];
    for (let i = 0; i < PIPELINED; i += 1) says.push((await client.answer()).connection);
    t.is(says.length, PIPELINED);
    t.deepEqual(
      says.slice(0, -1).filter((said) => said === 'close'),
      [],
    );
    // The heads of answers that wait were made before.
    if (says.at(-1) !== 'close') t.is((await client.ask('/')).connection, 'close');
    await end(t, app, client);
  });

  test(`of pipelined requests that come at once, the last answer says close: ${url}`, async (t) => {
    const { app, client } = await startAlone(t);
    await client.ask('/');
    await app.drain(1);
    client.write(toRequest(url, {}, '', 'GET').repeat(PIPELINED));
    const says = [];
    for (let i = 0; i < PIPELINED; i += 1) says.push((await client.answer()).connection);
    t.deepEqual(
      says.slice(0, -1).filter((said) => said === 'close'),
      [],
    );
    t.is(says.at(-1), 'close');
    await end(t, app, client);
  });
}

test('pipelined requests with bodies are all answered', async (t) => {
  const { app, client } = await startAlone(t);
  await client.ask('/');
  await app.drain(1);
  client.write(toRequest('/body', {}, 'four', 'POST').repeat(PIPELINED));
  const says = [];
  for (let i = 0; i < PIPELINED; i += 1) says.push((await client.answer()).connection);
  t.deepEqual(
    says.slice(0, -1).filter((said) => said === 'close'),
    [],
  );
  t.is(says.at(-1), 'close');
  await end(t, app, client);
});

for (const url of ['/early', '/early-later']) {
  test(`an answer that comes before the body of its request says nothing: ${url}`, async (t) => {
    const { app, client } = await startAlone(t);
    await client.ask('/');
    await app.drain(1);
    client.write(`POST ${url} HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n`);
    t.not((await client.answer()).connection, 'close');
    client.write('0123456789');
    t.is((await client.ask('/')).connection, 'close');
    await end(t, app, client);
  });
}

test('a request that expects 100-continue is served as ever, and its answer says close', async (t) => {
  const { app, client } = await startAlone(t);
  await client.ask('/');
  await app.drain(1);
  client.write(
    'POST /body HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n',
  );
  t.is((await client.answer()).status, 100);
  client.write('four');
  const { json, connection } = await client.answer();
  t.deepEqual([json.length, connection], [4, 'close']);
  await end(t, app, client);
});

test('an upgrade is answered as ever, and its socket ends in the last third of the time', async (t) => {
  const { app, client } = await startAlone(t);
  await client.ask('/');
  const start = Date.now();
  await app.drain(1, { timeout: 6000 });
  const { status, connection } = await client.ask('/', { Upgrade: 'echo', Connection: 'Upgrade' });
  t.deepEqual([status, connection], [101, 'Upgrade']);
  await client.write('hello').text('hello');
  await client.end();
  const waited = Date.now() - start;
  t.true(waited >= 3950, `${waited} ms`);
  await end(t, app, client);
});

test('a response that switches protocols says what the program says', async (t) => {
  const { app, client } = await startAlone(t);
  await client.ask('/');
  await app.drain(1);
  const { status, connection } = await client.ask('/switch');
  t.deepEqual([status, connection], [101, 'Upgrade']);
  t.is((await client.ask('/')).connection, 'close');
  await end(t, app, client);
});

test('a worker with TLS ends idle connections with their next answer', async (t) => {
  const { app, client } = await startAlone(t, { kind: 'https' });
  await client.ask('/');
  await app.drain(1);
  t.is((await client.ask('/')).connection, 'close');
  await end(t, app, client);
});

test('in the last third of the time, a connection that could move ends with its answer', async (t) => {
  const { app, client } = await startAlone(t);
  client.send('/hold');
  await app.line({ holds: 1 });
  await app.addWorker();
  await app.drain(1, { timeout: 9000 });
  setTimeout(() => app.tell(1, 'release'), 6600);
  t.is((await client.answer()).connection, 'close');
  await end(t, app, client);
});

test('a request that is unanswered when the time is over is counted as cut', async (t) => {
  const { app, client } = await startAlone(t);
  client.send('/hold');
  await app.line({ holds: 1 });
  await app.drain(1, { timeout: 2000 });
  await end(t, app, client, 1);
});

for (const kind of ['http', 'https']) {
  test(`a silent connection is not counted as cut when the time is over: ${kind}`, async (t) => {
    const { app, client } = await startAlone(t, { kind, members: { keepAliveTimeout: 200 } });
    await app.drain(1, { timeout: 2000 });
    await end(t, app, client, 0);
  });
}

test('an idle connection is not counted as cut when the time is over', async (t) => {
  const { app, client } = await startAlone(t);
  await client.ask('/');
  await app.drain(1, { timeout: 2000 });
  await end(t, app, client, 0);
});
