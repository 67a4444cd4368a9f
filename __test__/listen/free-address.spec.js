'use strict';

// An address must be free as soon as its server is reported as closed, or its last worker as gone.

const { once } = require('node:events');
const net = require('node:net');
const path = require('node:path');
const { serial: test } = require('ava');
const { HOST, startApp } = require('../helpers/app');
const { connectionError, text } = require('../helpers/client');
const { run } = require('../helpers/fixture');
const { freePort } = require('../helpers/free-port');
const { isBuiltin } = require('../helpers/implementation');
const { temporaryDirectory } = require('../helpers/temporary');
const { majorVersion } = require('../helpers/version');

// For a longer test: `ROUNDS=200 npx ava __test__/listen/free-address.spec.js`.
const ROUNDS = Number(process.env.ROUNDS ?? 20);
// Each of these rounds starts a process of its own.
const EXIT_ROUNDS = Math.ceil(ROUNDS / 10);

const KINDS = ['tcp', 'all', 'any', 'unix', 'udp'];
const POLICIES = { rr: KINDS, none: KINDS };
const BINDERS = ['same', 'worker', 'primary', 'process'];
// With the built-in module, abstract sockets are files, and workers do not wait for the primary to close its
// socket.
if (!isBuiltin) {
  KINDS.push('abstract');
  BINDERS.push('exclusive');
  const rest = { reuseport: ['tcp', 'all', 'any'], 'least-connections': ['tcp'] };
  Object.assign(POLICIES, rest, { 'source-hash': ['tcp'] });
}

async function addressOf(t, kind) {
  if (kind === 'unix') return path.join(temporaryDirectory(t), 'socket');
  return kind === 'abstract' ? `rs-cluster-${process.pid}` : freePort();
}

/** Whether `binder` can bind the address: outside of a worker, Node 18 binds all abstract names as one. */
function canBind(kind, binder) {
  const isOutside = binder === 'primary' || binder === 'process';
  return !(kind === 'abstract' && isOutside && majorVersion < 20);
}

async function bindAtEnds(t, { policy, kind }, ends, rounds, allBinders) {
  const binders = allBinders.filter((binder) => canBind(kind, binder));
  const { lines, code } = await run(t, 'listen/free-address', {
    args: [kind, await addressOf(t, kind), ends, rounds, binders],
    env: { NODE_CLUSTER_SCHED_POLICY: policy },
  });
  t.is(code, 0);
  const expected = ends.flatMap((end) =>
    binders.flatMap((binder) => Array(rounds).fill({ end, binder, outcome: 'ok' })),
  );
  t.deepEqual(lines, expected);
}

for (const [policy, kinds] of Object.entries(POLICIES)) {
  for (const kind of kinds) {
    test(`an address is free when a server is closed: ${kind}, ${policy}`, (t) =>
      bindAtEnds(t, { policy, kind }, ['close'], ROUNDS, BINDERS));

    test(`an address is free when a worker is gone: ${kind}, ${policy}`, (t) => {
      const ends = ['disconnect, disconnect', 'disconnect, disconnect of cluster', 'kill, exit'];
      // With the built-in module, such a worker may keep its socket open for longer than its channel.
      const isShared = kind === 'udp' || policy === 'none';
      if (!isBuiltin || !isShared) ends.push('kill, disconnect');
      return bindAtEnds(t, { policy, kind }, ends, EXIT_ROUNDS, ['worker', 'primary', 'process']);
    });

    // The built-in module calls back when the first worker has disconnected.
    if (isBuiltin || !canBind(kind, 'process')) continue;
    test(`an address is free when cluster.disconnect() calls back: ${kind}, ${policy}`, (t) =>
      bindAtEnds(t, { policy, kind }, ['disconnect of all'], EXIT_ROUNDS, ['primary', 'process']));
  }
}

// More connections than a hand-off queue holds, so that the others are in the backlog.
const CLIENTS = 40;

/** Kills the only worker of an app; returns the app, and the answers to the clients that it had not taken. */
async function orphanClients(t, policy) {
  const env = { NODE_CLUSTER_SCHED_POLICY: policy };
  const app = await startApp(t, { workers: 1, kind: 'net' }, { env });
  app.tell(1, { do: 'spin' });
  await app.line({ blocked: 1 });
  const clients = Array.from({ length: CLIENTS }, () => net.connect(app.target));
  await Promise.all(clients.map((socket) => once(socket, 'connect')));
  const answers = Promise.allSettled(clients.map(text));
  app.send({ do: 'signal', id: 1, signal: 'SIGKILL' });
  await app.line({ on: 'cluster', event: 'disconnect', id: 1 });
  return [app, answers];
}

/** Starts the next worker. Resolves to its port when it has served all clients. */
async function replace(t, app, answers) {
  app.send({ do: 'fork' });
  const { args } = await app.line({ on: 'cluster', event: 'listening', id: 2 });
  const servers = (await answers).map(({ value }) => value && JSON.parse(value).id);
  t.deepEqual(servers, Array(CLIENTS).fill(2));
  return args[0].port;
}

// The built-in module resets waiting connections.
for (const policy of isBuiltin ? [] : ['rr', 'least-connections', 'source-hash', 'reuseport']) {
  test(`clients are refused when no worker is left, except those that wait already: ${policy}`, async (t) => {
    const [app, answers] = await orphanClients(t, policy);
    t.is(await connectionError(app.target), 'ECONNREFUSED');
    t.is(await replace(t, app, answers), app.target.port, 'clients know the port');
    await app.end();
  });

  test(`an address is free while clients wait for a worker: ${policy}`, async (t) => {
    const [app, answers] = await orphanClients(t, policy);
    const foreign = net.createServer().listen(app.target.port, HOST);
    await once(foreign, 'listening');
    t.not(await replace(t, app, answers), app.target.port);
    foreign.close();
    await app.end();
  });
}
