'use strict';

const { serial: test } = require('ava');
const { start } = require('../helpers/fixture');
const { isBuiltin } = require('../helpers/implementation');
const { resumed, visit, visits } = require('../helpers/tls-client');

const HOST = '127.0.0.1';
const WORKERS = 4;
const ENOUGH = 200;
const VERSIONS = ['TLSv1.2', 'TLSv1.3'];
const KINDS = ['tls', 'https', 'http2'];
const OWN = '0123456789abcdef'.repeat(6);
const OWN_NAME = OWN.slice(0, 32);
// How often, in ms.
const RENEWS = { RS_CLUSTER_TICKET_KEY_PERIOD: '2000' };

/** Starts workers; resolves when all their servers listen. */
async function startServers(t, { workers = WORKERS, servers = [{}], ...how } = {}) {
  const app = start(t, 'listen/tls-tickets', { args: [{ workers, servers }], ...how });
  app.targets = [];
  for (const index of servers.keys()) {
    const [{ port }] = await app.linesLike({ listens: index }, workers);
    app.targets.push({ port, host: HOST });
  }
  return app;
}

const times = (count) => (all) => all.length > count;

/** Visits 200 times after the first one, and checks that sessions were resumed, at all workers. */
async function checkResumed(t, app, options, target = app.targets[0]) {
  const [first, ...rest] = await visits(target, options, times(ENOUGH));
  t.false(first.isReused);
  t.true(resumed(rest) >= 0.99, `${resumed(rest)}`);
  t.is(new Set(rest.map(({ id }) => id)).size, WORKERS);
  return rest;
}

/** Waits until all workers have the same key, and another one than before. */
async function nextKey(target, before) {
  const keys = new Map();
  const isNext = (key) => key !== before && key === keys.get(1);
  do {
    const { id, key } = await visit(target);
    keys.set(id, key);
  } while (keys.size < WORKERS || ![...keys.values()].every(isNext));
  return keys.get(1);
}

/** Begins a session, and finds out by which key. */
async function beginSession(target, options) {
  for (;;) {
    const before = await visit(target, options);
    const { session, key } = await visit(target, options);
    // If it is another one, keys are being renewed, and it may be that of the session or not.
    if (key === before.key) return { session, key };
  }
}

for (const kind of KINDS) {
  for (const version of VERSIONS) {
    test(`sessions of ${kind} are resumed by ${version} at any worker`, async (t) => {
      const app = await startServers(t, { servers: [{ kind }] });
      await checkResumed(t, app, { kind, version });
      await app.end();
    });
  }
}

for (const policy of ['none', 'least-connections', 'source-hash', 'reuseport']) {
  test(`sessions are resumed under the policy ${policy}`, async (t) => {
    const app = await startServers(t, { env: { NODE_CLUSTER_SCHED_POLICY: policy } });
    const [, ...rest] = await visits(app.targets[0], {}, times(ENOUGH));
    t.true(resumed(rest) >= 0.99, `${resumed(rest)}`);
    await app.end();
  });
}

// Node's own servers share the keys of the first one only if they share its address, and never renew them.
if (!isBuiltin) {
  for (const version of VERSIONS) {
    for (const how of [{ names: ['*.example'] }, { asks: true }]) {
      const where = how.asks ? 'that a function gives' : 'that are added';
      test(`sessions of contexts ${where} are resumed by ${version}`, async (t) => {
        const app = await startServers(t, { servers: [how] });
        await checkResumed(t, app, { version, servername: 'www.example' });
        await app.end();
      });
    }

    test(`sessions are resumed by ${version} while keys are renewed`, async (t) => {
      const app = await startServers(t, { env: RENEWS });
      const keys = (all) => new Set(all.map(({ key }) => key)).size;
      const isEnough = (all) => all.length > ENOUGH && keys(all) > 2;
      const [, ...rest] = await visits(app.targets[0], { version }, isEnough);
      // A worker may get a ticket of another one before it has got the new key itself.
      t.true(resumed(rest) >= 0.99, `${resumed(rest)}`);
      await app.end();
    });

    test(`a session is resumed by ${version} by the key before the current one, and no other`, async (t) => {
      const app = await startServers(t, { env: RENEWS });
      const [target] = app.targets;
      let begun;
      let later;
      let next;
      // On a busy machine keys may have been renewed twice before the session is used again.
      do {
        begun = await beginSession(target, { version });
        next = await nextKey(target, begun.key);
        later = await visit(target, { version, session: begun.session });
      } while (later.key !== next);
      t.true(later.isReused);
      await nextKey(target, next);
      t.false((await visit(target, { version, session: begun.session })).isReused);
      await app.end();
    });

    test(`keys that the program sets while clients have sessions count, by ${version}`, async (t) => {
      const app = await startServers(t, { servers: [{ keys: OWN, when: 'after' }] });
      const all = await checkResumed(t, app, { version });
      t.true(all.every(({ key }) => key === OWN_NAME));
      await app.end();
    });
  }

  test('servers that bind their port themselves get the keys, too', async (t) => {
    const servers = [{}, { listen: { exclusive: true } }];
    const app = await startServers(t, { workers: 1, servers });
    const [{ key }, own] = await Promise.all(app.targets.map((target) => visit(target)));
    t.is(own.key, key);
    t.true((await visit(app.targets[1], { session: own.session })).isReused);
    await app.end();
  });
}

for (const [how, server] of [
  ['the option ticketKeys', { options: { ticketKeys: OWN } }],
  ['setTicketKeys() before it listens', { keys: OWN, when: 'before' }],
]) {
  test(`a program has keys of its own by ${how}`, async (t) => {
    const app = await startServers(t, { servers: [server] });
    const all = await checkResumed(t, app, {});
    t.true(all.every(({ key }) => key === OWN_NAME));
    await app.end();
  });
}

test('a program can do without tickets', async (t) => {
  const { SSL_OP_NO_TICKET } = require('node:crypto').constants;
  const app = await startServers(t, {
    servers: [{ options: { secureOptions: SSL_OP_NO_TICKET } }],
  });
  const all = await visits(app.targets[0], { version: 'TLSv1.2' }, times(20));
  t.is(resumed(all), 0);
  await app.end();
});

for (const version of VERSIONS) {
  test(`a session of one server does not let a client without a certificate into another, by ${version}`, async (t) => {
    const guarded = { options: { requestCert: true, rejectUnauthorized: false } };
    const app = await startServers(t, { workers: 1, servers: [{}, guarded, {}] });
    const [open, closed, third] = app.targets;
    const { session } = await visit(open, { version });
    t.true((await visit(open, { version, session })).isReused);
    for (const target of [closed, third]) {
      t.false((await visit(target, { version, session })).isReused);
    }
    await app.end();
  });
}
