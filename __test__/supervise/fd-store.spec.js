'use strict';

// Sockets that the service manager stores, so that they outlive a primary that is killed.

const { once } = require('node:events');
const { existsSync, readFileSync, readdirSync } = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { serial: test } = require('ava');
const { PROGRAM, addManager, managerOf, startActivated } = require('../helpers/activated');
const { connectionError, get, text } = require('../helpers/client');
const { freePort } = require('../helpers/free-port');
const { isBuiltin } = require('../helpers/implementation');
const { load } = require('../helpers/load');
const { POLICIES } = require('../helpers/policies');
const { answerLimit, startTrafficProgram } = require('../helpers/supervised-traffic');
const { untilGone } = require('../helpers/supervised');
const { temporaryDirectory } = require('../helpers/temporary');
const { becomesTrue } = require('../../tools/process-group');

const HOST = '127.0.0.1';
const STORES = 64;
const CLIENTS = 40;
const LIMIT = 20_000;
/** As many connections as wait in the queue of a worker at least, when it takes none. */
const QUEUED = 5;
const KILLS = 3;
/** How many connections the primary and its workers have at a time, at most. */
const IN_FLIGHT = 20;

/** What closes an address and uses it again when it is told to: the program, and the address. */
const AGAIN = [
  [
    'an abstract name',
    PROGRAM.replace(
      "process.send('closed')",
      "server.listen(JSON.parse(process.argv[2]), () => process.send('again'))",
    ),
    () => ({ path: `\0rs-cluster-again-${process.pid}` }),
  ],
  [
    'a port for datagrams',
    `'use strict';
    const dgram = require('node:dgram');
    const bind = (ready) => {
      const socket = dgram.createSocket('udp4').bind(JSON.parse(process.argv[2]), ready);
      process.once('message', () => socket.close(() => bind(() => process.send('again'))));
    };
    bind();
    `,
    async () => ({ port: await freePort(), address: HOST }),
  ],
];

/** The name by which a port is stored. */
const nameOf = (port) => `rs-cluster tcp ${HOST}%3A${port}`;

/** The name by which the queue of a worker is stored. */
const queueOf = (primary, id) => `rs-cluster queue ${primary}.${id}`;

/** Connects, and sends a request; resolves to a function that returns the answer. */
async function begin(target) {
  const socket = net.connect(target);
  await once(socket, 'connect');
  socket.write('GET / HTTP/1.0\r\n\r\n');
  const answer = text(socket);
  answer.catch(() => {});
  return async () => JSON.parse((await answer).split('\r\n\r\n')[1]);
}

/** Waits until no more requests are under way than there are at any time. */
async function untilServed(traffic) {
  const isSo = async () => {
    const { requests, answered, failed } = await traffic.status();
    return requests - answered - failed < IN_FLIGHT;
  };
  if (!(await becomesTrue(isSo, LIMIT))) throw new Error('requests are not served');
}

/** Whether no thread of a process runs. */
function isStopped(pid) {
  return readdirSync(`/proc/${pid}/task`).every((thread) =>
    /^State:\s+T/m.test(readFileSync(`/proc/${pid}/task/${thread}/status`, 'utf8')),
  );
}

/** What serves no connection from now on, until the primary is killed. */
async function stopAll(app) {
  const [service, pids] = [await app.service(), await app.pids()];
  for (const pid of [service, ...pids]) process.kill(pid, 'SIGSTOP');
  const areStopped = () => [service, ...pids].every(isStopped);
  if (!(await becomesTrue(areStopped, LIMIT))) throw new Error('they do not stop');
  return service;
}

// The built-in module does not supervise.
for (const policy of isBuiltin ? [] : POLICIES) {
  const sockets = policy === 'SCHED_REUSEPORT' ? 2 : 1;

  test(`no connection of a backlog is lost when the primary is killed: ${policy}`, async (t) => {
    const port = await freePort();
    const listen = { host: HOST, port };
    const app = await startActivated(t, { stores: STORES, listen, options: { policy } });
    await app.linesLike({ manager: 'stored', name: nameOf(port) }, sockets);
    const service = await stopAll(app);
    const waiting = await Promise.all(Array.from({ length: CLIENTS }, () => begin(listen)));
    process.kill(service, 'SIGKILL');
    await app.untilReady(1);
    const pids = await app.pids();
    for (const answer of waiting) t.true(pids.includes((await answer()).pid));
    // The next one stores nothing twice.
    t.is(app.seen({ manager: 'stored', name: nameOf(port) }).length, sockets);
    const { stored } = await app.leave();
    t.deepEqual(stored, []);
    t.is(app.seen({ manager: 'removed', name: nameOf(port) }).length, sockets);
    t.is(await connectionError(listen), 'ECONNREFUSED');
  });

  test(`only what workers have begun fails when the primary is killed under load: ${policy}`, async (t) => {
    t.timeout(240_000);
    const { app, at, logs } = await startTrafficProgram(t, {
      options: { policy },
      launcher: managerOf(t, { stores: STORES }),
    });
    addManager(app);
    const shapes = [
      { shape: 'connections', address: at.http, count: 8, think: [5, 15] },
      { shape: 'connections', name: 'open', address: at.http, rate: 200 },
      { shape: 'connections', name: 'unix', address: at.unix, count: 4, think: [5, 15] },
    ];
    const played = await load(t, shapes, {
      logs,
      answerLimitMs: answerLimit(),
      async operate(traffic) {
        for (let restarts = 1; restarts <= KILLS; restarts += 1) {
          process.kill(await app.service(restarts - 1), 'SIGKILL');
          await app.untilReady(restarts);
          // What has come meanwhile waits in the backlogs.
          await untilServed(traffic);
        }
      },
    });
    await app.leave();
    const refused = Object.values(played.shapes).map(({ failures }) => failures.refused ?? 0);
    t.deepEqual(refused, [0, 0, 0]);
    t.deepEqual(played.ids.twice, []);
    t.true(played.failed <= KILLS * IN_FLIGHT, `${played.failed} have failed`);
  });
}

if (!isBuiltin) {
  test('connections that wait in the queues of workers are not lost with the primary', async (t) => {
    const port = await freePort();
    const listen = { host: HOST, port };
    const app = await startActivated(t, { stores: STORES, listen });
    await app.line({ manager: 'stored', name: nameOf(port) });
    const pids = await app.pids();
    for (const pid of pids) process.kill(pid, 'SIGSTOP');
    const waiting = await Promise.all(Array.from({ length: CLIENTS }, () => begin(listen)));
    const { slots } = await app.statusWhen(({ slots }) =>
      slots.every(({ handedOver }) => handedOver >= QUEUED),
    );
    t.true(slots.every(({ accepted }) => accepted === 0));
    await stopAll(app);
    process.kill(await app.service(), 'SIGKILL');
    await app.untilReady(1);
    const answers = await Promise.allSettled(waiting.map((answer) => answer()));
    const lost = answers.filter(({ status }) => status === 'rejected');
    // The engine has one that is in no queue yet.
    t.true(lost.length <= 1, `${lost.length} are lost`);
    const left = app
      .seen({ manager: 'started' })
      .at(-1)
      .names.filter((it) => it.includes('queue'));
    t.is(left.length, pids.length);
    for (const name of left) await app.line({ manager: 'removed', name });
    await app.leave();
  });

  test('a path is stored with its file', async (t) => {
    const file = path.join(temporaryDirectory(t), 'socket');
    const app = await startActivated(t, { stores: STORES, listen: { path: file } });
    await app.line({ manager: 'stored', name: `rs-cluster unix ${file}` });
    const service = await stopAll(app);
    const answer = await begin({ path: file });
    process.kill(service, 'SIGKILL');
    await app.untilReady(1);
    t.true((await app.pids()).includes((await answer()).pid));
    t.deepEqual((await app.leave()).stored, []);
    t.false(existsSync(file));
  });

  test('a reload removes nothing, and an address that is closed for good is removed', async (t) => {
    const port = await freePort();
    const listen = { host: HOST, port };
    const app = await startActivated(t, { stores: STORES, listen, options: { workers: 1 } });
    await app.line({ manager: 'stored', name: nameOf(port) });
    await app.perform('reload');
    await app.untilSettled();
    t.deepEqual(app.seen({ manager: 'removed', name: nameOf(port) }), []);
    const [id] = await app.ids();
    await app.perform('tell', id, 'close');
    await app.line({ from: id, message: 'closed' });
    await app.line({ manager: 'removed', name: nameOf(port) });
    await app.leave();
  });

  test('the next primary has them stored, and removes what it closes', async (t) => {
    const port = await freePort();
    const listen = { host: HOST, port };
    const app = await startActivated(t, { stores: STORES, listen, options: { minUptime: 100 } });
    await app.line({ manager: 'stored', name: nameOf(port) });
    const pids = await app.pids();
    const { pid } = await app.perform('upgrade');
    for (const old of pids) await untilGone(old);
    t.deepEqual(app.seen({ manager: 'removed', name: nameOf(port) }), []);
    const first = await app.service();
    const queues = app.seen({ manager: 'removed' }).map(({ name }) => name);
    t.deepEqual(queues.sort(), [queueOf(first, 1), queueOf(first, 2)]);
    await untilGone(first);
    process.kill(pid, 'SIGKILL');
    // The second was that of the next primary.
    await app.untilReady(2);
    t.is(typeof (await get(listen)).pid, 'number');
    t.deepEqual((await app.leave()).stored, []);
  });

  for (const [title, program, listen] of AGAIN) {
    test(`an address that is stored can be closed and used again at once: ${title}`, async (t) => {
      const address = await listen(t);
      const app = await startActivated(t, {
        stores: STORES,
        // As a busy machine may make it wait.
        pause: 0.03,
        program,
        listen: address,
        options: { workers: 1 },
      });
      const [id] = await app.ids();
      for (let times = 1; times <= 20; times += 1) {
        await app.perform('tell', id, 'close');
        await app.linesLike({ from: id, message: 'again' }, times);
      }
      t.deepEqual((await app.leave()).stored, []);
    });
  }

  for (const listens of [{ host: HOST }, {}]) {
    const title = listens.host ? 'a port' : 'a path';
    test(`a primary that exits without a stop leaves the sockets to the next one: ${title}`, async (t) => {
      const listen = listens.host
        ? { host: HOST, port: await freePort() }
        : { path: path.join(temporaryDirectory(t), 'socket') };
      const app = await startActivated(t, { stores: STORES, listen });
      const name = listen.port ? nameOf(listen.port) : `rs-cluster unix ${listen.path}`;
      await app.line({ manager: 'stored', name });
      app.send({ token: 'exit', do: 'exit' });
      const { stored } = await app.line({ manager: 'ended' });
      t.deepEqual(stored, [name]);
      if (listen.path) t.true(existsSync(listen.path));
      await app.exited;
    });
  }

  test('what the next program does not ask for is removed when it is ready', async (t) => {
    const [port, other] = [await freePort(), await freePort()];
    const serving = (ports) =>
      `for (const port of ${JSON.stringify(ports)}) {
        require('node:http').createServer((_, response) => response.end('{}')).listen(port, '${HOST}');
      }`;
    const app = await startActivated(t, { stores: STORES, program: serving([port, other]) });
    for (const each of [port, other]) await app.line({ manager: 'stored', name: nameOf(each) });
    app.deploy(serving([port]));
    process.kill(await app.service(), 'SIGKILL');
    await app.untilReady(1);
    await app.line({ manager: 'removed', name: nameOf(other) });
    t.is(await connectionError({ host: HOST, port: other }), 'ECONNREFUSED');
    t.deepEqual(await get({ host: HOST, port }), {});
    t.deepEqual((await app.leave()).stored, []);
  });

  test('without room in the store sockets are closed with the primary', async (t) => {
    const port = await freePort();
    const app = await startActivated(t, { listen: { host: HOST, port } });
    await app.leave();
    t.deepEqual(app.seen({ manager: 'stored' }), []);
  });
}
