'use strict';

const { readFileSync } = require('node:fs');
const { serial } = require('ava');
const { startGrpc } = require('../helpers/clients/grpc');
const { startHttp1 } = require('../helpers/clients/http1');
const { startHttp2 } = require('../helpers/clients/http2');
const { startSocketIo } = require('../helpers/clients/socket.io');
const { startWebSockets } = require('../helpers/clients/websocket');
const { fixturePath, start } = require('../helpers/fixture');
const { isBuiltin } = require('../helpers/implementation');
const { isAtLeast, majorVersion } = require('../helpers/version');

const ca = readFileSync(fixturePath('shared/keys/cert.pem'));
const WORKERS = 2;
const TIMES = 3;
// So many requests each client sends between two replacements.
const REQUESTS = 8;

// The built-in module cannot drain.
const test = isBuiltin ? serial.skip : serial;
/** Programs that need a newer Node than the one that runs the fixtures are skipped. */
const since = (major) => (majorVersion >= major ? test : test.skip);

/** Starts two workers of a program, and replaces them one after the other; `replace()` resolves to when that began. */
async function startProgram(t, name, { environment = {}, ...options } = {}) {
  const app = start(t, 'drain/replaced-programs', { ...options, args: [name, environment] });
  const lines = await Promise.all([1, 2].map((id) => app.line({ listening: id })));
  app.target = { host: '127.0.0.1', port: lines[0].port };
  let oldest = 1;
  app.replace = async (how) => {
    const id = oldest;
    oldest += 1;
    app.send({ id, options: how });
    const [{ at }, result] = await Promise.all([
      app.line({ drains: id }),
      app.line({ replaced: id }),
    ]);
    t.like(result, { cut: 0, code: 0, signal: null }, `worker ${id}`);
    return at;
  };
  return app;
}

/** Starts clients that also end when the test fails. */
async function startClients(t, connect, target) {
  const clients = await connect(target);
  t.teardown(() => clients.end());
  return clients;
}

/** Replaces each worker several times, while the clients go on. */
async function replaceAll(app, loads) {
  const more = () => Promise.all(loads.map((load) => load.more(REQUESTS)));
  await more();
  for (let i = 0; i < WORKERS * TIMES; i += 1) {
    await app.replace();
    await more();
  }
}

/** Ends the clients, and checks that they have noticed nothing but that connections end. */
async function checkClients(t, load) {
  await load.end();
  t.deepEqual(load.failures, []);
  // A client opens another connection only when the server has told it to.
  if (load.clients) t.is(load.opened, load.clients + load.told);
}

const PLAIN = {
  http: test,
  express: test,
  fastify: since(20),
  koa: test,
  hapi: test,
  nest: since(20),
};

for (const [name, test] of Object.entries(PLAIN)) {
  test(`clients of a program that uses ${name} keep their connections while its workers are replaced`, async (t) => {
    const app = await startProgram(t, name);
    const load = await startClients(t, startHttp1, app.target);
    await replaceAll(app, [load]);
    await checkClients(t, load);
    t.is(load.told, 0);
    await app.end();
  });
}

test('clients of a proxy keep their connections while its workers are replaced', async (t) => {
  const server = await startProgram(t, 'http');
  const app = await startProgram(t, 'http-proxy', {
    environment: { TARGET: `http://127.0.0.1:${server.target.port}` },
    // http-proxy calls util._extend().
    nodeArgs: isAtLeast('22.0.0') ? ['--disable-warning=DEP0060'] : [],
  });
  const load = await startClients(t, startHttp1, app.target);
  await replaceAll(app, [load]);
  await checkClients(t, load);
  t.is(load.told, 0);
  await app.end();
  await server.end();
});

test('clients of HTTPS connect again once for each drained worker, and no request fails', async (t) => {
  const app = await startProgram(t, 'https');
  const load = await startClients(t, startHttp1, { ...app.target, ca });
  await replaceAll(app, [load]);
  await checkClients(t, load);
  t.true(load.told >= load.clients);
  await app.end();
});

for (const [name, title, secure] of [
  ['h2c', 'HTTP/2 without TLS', false],
  ['http2', 'HTTP/2 with TLS', true],
]) {
  test(`no stream of ${title} fails while workers are replaced`, async (t) => {
    const app = await startProgram(t, name);
    const target = { ...app.target, ca: secure ? ca : undefined };
    const loads = [await startClients(t, startHttp2, target)];
    if (secure) loads.push(await startClients(t, startHttp1, target));
    await replaceAll(app, loads);
    for (const load of loads) {
      await checkClients(t, load);
      t.true(load.told >= load.clients);
    }
    await app.end();
  });
}

test('no call of gRPC fails while workers are replaced', async (t) => {
  const app = await startProgram(t, 'grpc');
  const load = await startClients(t, startGrpc, app.target);
  await replaceAll(app, [load]);
  await checkClients(t, load);
  await app.end();
});

const UPGRADED = {
  ws: { connect: startWebSockets, goodBye: 1012, end: 1006 },
  'socket.io': {
    connect: startSocketIo,
    goodBye: 'io server disconnect',
    end: 'transport close',
  },
};

for (const [name, { connect, goodBye, end }] of Object.entries(UPGRADED)) {
  test(`a program that uses ${name} can say good-bye to its clients`, async (t) => {
    const app = await startProgram(t, name, { environment: { GOOD_BYE: 'yes' } });
    const load = await startClients(t, startHttp1, app.target);
    const sockets = await startClients(t, connect, app.target);
    await load.more(REQUESTS);
    for (let i = 0; i < WORKERS; i += 1) {
      await app.replace({ reason: `replacement ${i}` });
      await load.more(REQUESTS);
    }
    await checkClients(t, load);
    t.is(load.told, 0);
    await sockets.end();
    t.true(sockets.ends.length >= sockets.clients);
    for (const { code, reason, error } of sockets.ends) {
      t.is(error, undefined);
      t.is(code, goodBye);
      t.regex(reason, /^replacement \d$/);
    }
    await app.end();
  });

  test(`connections of ${name} end in the last third of the time`, async (t) => {
    const app = await startProgram(t, name);
    const timeout = 9_000;
    const load = await startClients(t, startHttp1, app.target);
    const sockets = await startClients(t, connect, app.target);
    const times = await Promise.all([app.replace({ timeout }), app.replace({ timeout })]);
    await load.more(REQUESTS);
    await checkClients(t, load);
    t.is(load.told, 0);
    await sockets.end();
    t.true(sockets.ends.length >= sockets.clients);
    for (const { code, error, at } of sockets.ends) {
      t.is(error, undefined);
      t.is(code, end);
      // The worker reckons with the time that the order may have taken, and several processes read clocks.
      const isLate = (from) => at - from >= (timeout * 2) / 3 - 100 && at - from <= timeout;
      t.true(times.some(isLate), `${at} of ${JSON.stringify(times)}`);
    }
    await app.end();
  });
}

test('on-finished and pino-http hear of each request once, and each socket closes', async (t) => {
  const app = await startProgram(t, 'loggers');
  const load = await startClients(t, startHttp1, app.target);
  await replaceAll(app, [load]);
  await checkClients(t, load);
  t.is(load.told, 0);
  await app.end();
  const all = app.seen({}).filter(({ counted }) => counted);
  t.is(all.length, WORKERS * (TIMES + 1));
  for (const { counts } of all) {
    const { requests, opened } = counts;
    t.deepEqual(counts, {
      ...{ requests, finished: requests, logged: requests, failed: 0, twice: 0 },
      ...{ opened, closed: opened },
    });
  }
  const served = all.reduce((sum, { counts }) => sum + counts.requests, 0);
  t.is(
    served,
    load.answered.reduce((sum, answered) => sum + answered),
  );
});
