'use strict';

// Connections that no worker serves when the primary is replaced: those that wait for one, and those that wait for their
// clients.

const { serial: test } = require('ava');
const { get } = require('../helpers/client');
const { freePort } = require('../helpers/free-port');
const { connect } = require('../helpers/http-client');
const { isBuiltin } = require('../helpers/implementation');
const { POLICIES } = require('../helpers/policies');
const { HOST, startUpgraded } = require('../helpers/upgraded');
const { HAS_PROC, becomesTrue } = require('../../tools/process-group');

const LIMIT = 120_000;
const WAITING = 300;
const KEPT = 100;
/** How long servers keep idle connections, in ms. */
const KEEP_ALIVE = 8_000;
const WITHIN = 20_000;
/** More than the 100 ms after which a worker is ready that has added no address, in ms. */
const LATER = 300;

/** A program that says its version, on the port of its first argument. */
const answers = (version) => `'use strict';
const http = require('node:http');
const answer = JSON.stringify({ version: ${JSON.stringify(version)}, pid: process.pid });
const server = http.createServer((_request, response) => response.end(answer));
server.keepAliveTimeout = ${KEEP_ALIVE};
server.listen({ port: process.argv[2], host: ${JSON.stringify(HOST)}, backlog: 1_000 });
`;

async function startAnswering(t, settings) {
  t.timeout(LIMIT);
  const port = await freePort();
  const app = await startUpgraded(t, {
    program: answers('one'),
    settings: { args: [`${port}`], ...settings },
    timeout: LIMIT,
  });
  return { app, target: { host: HOST, port } };
}

/**
 * A program that listens on the ports of its two arguments, on the second one so many milliseconds later, if that is given:
 * after a time in which the worker would be taken for one that has no further server.
 */
const listensTwice = (version, later) => `'use strict';
const http = require('node:http');
const answer = JSON.stringify({ version: ${JSON.stringify(version)}, pid: process.pid });
function listen(port) {
  const server = http.createServer((_request, response) => response.end(answer));
  server.keepAliveTimeout = ${LIMIT};
  server.listen(port, ${JSON.stringify(HOST)});
}
listen(process.argv[2]);
if (${later} === undefined) listen(process.argv[3]);
else setTimeout(listen, ${later}, process.argv[3]);
`;

/** How many connections the engine has accepted that no worker has taken. */
const waitingIn = ({ listeners }) => listeners.reduce((sum, { waiting }) => sum + waiting, 0);

// The built-in module does not supervise.
if (!isBuiltin && HAS_PROC) {
  for (const policy of POLICIES) {
    test(`${policy}: the new primary serves those that wait while all workers of the old one are stopped`, async (t) => {
      const { app, target } = await startAnswering(t, { policy, drainTimeout: 20_000 });
      const pids = await app.pids();
      for (const pid of pids) process.kill(pid, 'SIGSTOP');
      const waiting = Array.from({ length: WAITING }, () => get(target));
      if (!['SCHED_NONE', 'SCHED_REUSEPORT'].includes(policy)) {
        t.true(await becomesTrue(async () => waitingIn(await app.status()) > 0, WITHIN));
      }
      app.deploy(answers('two'));
      const { pid } = await app.upgrade();
      const versions = new Set((await Promise.all(waiting)).map(({ version }) => version));
      t.deepEqual(versions, new Set(['two']));
      for (const it of pids) process.kill(it, 'SIGCONT');
      t.is((await app.status()).pid, pid);
      await app.untilSettled();
      t.is((await app.stop()).code, 0);
    });
  }

  for (const policy of POLICIES.filter((it) => it !== 'SCHED_NONE')) {
    test(`${policy}: idle connections stay open, and workers of the new primary serve them`, async (t) => {
      const { app, target } = await startAnswering(t, { policy });
      const clients = await Promise.all(Array.from({ length: KEPT }, () => connect(target)));
      const ask = (client) => client.ask('/').then(({ json }) => json.version);
      t.deepEqual(new Set(await Promise.all(clients.map(ask))), new Set(['one']));
      app.deploy(answers('two'));
      await app.upgrade();
      await app.untilSettled();
      t.deepEqual(new Set(await Promise.all(clients.map(ask))), new Set(['two']));
      for (const client of clients) client.destroy();
      t.is((await app.stop()).code, 0);
    });
  }

  for (const policy of POLICIES.filter((it) => it !== 'SCHED_NONE')) {
    test(`${policy}: idle connections stay open where workers of the new primary listen a little later`, async (t) => {
      t.timeout(LIMIT);
      const [port, second] = [await freePort(), await freePort()];
      const app = await startUpgraded(t, {
        program: listensTwice('one'),
        settings: { args: [`${port}`, `${second}`], policy, minUptime: 0 },
        timeout: LIMIT,
      });
      const target = { host: HOST, port: second };
      const clients = await Promise.all(Array.from({ length: KEPT }, () => connect(target)));
      const ask = (client) => client.ask('/').then(({ json }) => json.version);
      t.deepEqual(new Set(await Promise.all(clients.map(ask))), new Set(['one']));
      app.deploy(listensTwice('two', LATER));
      await app.upgrade();
      await app.untilSettled();
      t.deepEqual(new Set(await Promise.all(clients.map(ask))), new Set(['two']));
      for (const client of clients) client.destroy();
      t.is((await app.stop()).code, 0);
    });
  }

  test('the new primary keeps the promise of how long an idle connection stays open', async (t) => {
    const { app, target } = await startAnswering(t);
    const client = await connect(target);
    // Before the server begins to count.
    const asked = Date.now();
    await client.ask('/');
    await app.upgrade();
    await client.end();
    const kept = Date.now() - asked;
    t.is(client.error, undefined);
    t.true(kept > KEEP_ALIVE - 500, `${kept}`);
    await app.untilSettled();
    t.is((await app.stop()).code, 0);
  });
}
