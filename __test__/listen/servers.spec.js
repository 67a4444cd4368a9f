'use strict';

const { once } = require('node:events');
const http = require('node:http');
const http2 = require('node:http2');
const https = require('node:https');
const { readFileSync } = require('node:fs');
const tls = require('node:tls');
const { serial: test } = require('ava');
const { checkTurns, startApp } = require('../helpers/app');
const { askEach, get, read, text } = require('../helpers/client');
const { fixturePath } = require('../helpers/fixture');

const ca = readFileSync(fixturePath('shared/keys/cert.pem'));

async function getHttps(target) {
  const [response] = await once(https.get({ ...target, ca, agent: false }), 'response');
  return JSON.parse(await text(response));
}

async function getHttp2(scheme, { host, port }) {
  const session = http2.connect(`${scheme}://${host}:${port}`, { ca });
  try {
    return JSON.parse(await text(session.request({ ':path': '/' })));
  } finally {
    session.close();
  }
}

const clients = {
  net: read,
  tls: async (target) => JSON.parse(await text(tls.connect({ ...target, ca }))),
  http: get,
  https: getHttps,
  http2: (target) => getHttp2('http', target),
  'http2 over TLS': (target) => getHttp2('https', target),
  express: get,
  fastify: get,
};

for (const [kind, ask] of Object.entries(clients)) {
  test(`a server of ${kind} answers from all workers in turn`, async (t) => {
    const app = await startApp(t, { workers: 2, kind });
    // The first request of a worker takes long, because the code that answers it is compiled.
    await askEach(app.target, [1, 2], ask);
    await checkTurns(t, app, { 1: 5, 2: 5 }, ask);
    await app.end();
  });
}

test('the requests of one connection stay with one worker', async (t) => {
  const app = await startApp(t, { workers: 2 });
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const ids = new Set();
  for (let i = 0; i < 10; i += 1) ids.add((await get(app.target, { agent })).id);
  t.is(ids.size, 1);
  agent.destroy();
  await app.end();
});

test('a body arrives whole', async (t) => {
  const app = await startApp(t, { workers: 2, kind: 'echo' });
  const body = 'é'.repeat(1024 * 1024);
  const request = http.request({ ...app.target, method: 'POST', agent: false }).end(body);
  const [response] = await once(request, 'response');
  t.true((await text(response)) === body);
  await app.end();
});

test('a connection can be upgraded', async (t) => {
  const app = await startApp(t, { workers: 2 });
  const headers = { Connection: 'Upgrade', Upgrade: 'echo' };
  const [response, socket] = await once(http.get({ ...app.target, headers }), 'upgrade');
  t.is(response.statusCode, 101);
  const heard = text(socket);
  for (const words of ['some ', 'words']) socket.write(words);
  socket.end();
  t.is(await heard, 'some words');
  await app.end();
});

test('a client that sends nothing, or leaves at once, does not disturb others', async (t) => {
  const app = await startApp(t, { workers: 2 });
  const silent = [1, 2].map(() => http.get({ ...app.target, agent: false }).on('error', () => {}));
  for (const request of silent) request.destroy();
  t.is((await get(app.target)).url, '/');
  await app.end();
});

test('an unreferenced server does not keep its worker running', async (t) => {
  const app = await startApp(t, { workers: 1 });
  app.tell(1, { do: 'unref', index: 0 });
  app.tell(1, { do: 'leave' });
  const { args } = await app.line({ on: 'cluster', event: 'exit' });
  t.deepEqual(args, [0, null]);
  await app.end();
});

test('a server keeps its worker running, also after unref() and ref()', async (t) => {
  const app = await startApp(t, { workers: 1 });
  for (const what of ['unref', 'ref']) app.tell(1, { do: what, index: 0 });
  app.tell(1, { do: 'leave' });
  await app.line({ server: 'left', id: 1 });
  t.is((await get(app.target)).id, 1);
  await app.end();
});

test('no warning is printed, not even a pending deprecation', async (t) => {
  const app = await startApp(t, { workers: 2 }, { nodeArgs: ['--pending-deprecation'] });
  await get(app.target);
  const { stderr } = await app.end();
  t.is(stderr, '');
});
