'use strict';

// Under SCHED_NONE every worker accepts from the shared socket itself.

const { once } = require('node:events');
const { existsSync } = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { serial: test } = require('ava');
const { HOST, startApp, statsOf, withoutRescue } = require('../helpers/app');
const { connectionError, countAnswers, get } = require('../helpers/client');
const { isBuiltin } = require('../helpers/implementation');
const { temporaryDirectory } = require('../helpers/temporary');

const [NONE, ROUND_ROBIN] = [1, 2];
const any = { port: 0, host: HOST };

const start = (t, options) =>
  startApp(t, { workers: 2, ...options }, { env: { NODE_CLUSTER_SCHED_POLICY: 'none' } });

const portsOf = async (app, index) =>
  (await app.linesLike({ server: 'listening', index }, 2)).map(({ at }) => at.port);

/** Whether requests are answered while the primary is stopped. */
async function servesAlone(t, app) {
  app.signal('SIGSTOP');
  const answers = await countAnswers(app.target, 10);
  app.signal('SIGCONT');
  t.is((answers[1] ?? 0) + (answers[2] ?? 0), 10);
}

test('workers with a shared socket can accept without the primary', async (t) => {
  const app = await start(t);
  await servesAlone(t, app);
  await app.end();
});

test('the policy that was set before the first fork remains, whatever is set later', async (t) => {
  const shared = await startApp(t, { workers: 2, policies: [NONE, ROUND_ROBIN] });
  await servesAlone(t, shared);
  if (!isBuiltin) t.deepEqual((await statsOf(shared)).listeners, []);
  await shared.end();

  const distributed = await startApp(t, { workers: 2, policies: [ROUND_ROBIN, NONE] });
  const ids = await withoutRescue(distributed, async () => {
    const answers = [];
    while (answers.length < 20) answers.push((await get(distributed.target)).id);
    return answers;
  });
  t.true(
    ids.every((id, index) => id !== ids[index - 1]),
    `${ids}`,
  );
  if (!isBuiltin) t.like((await statsOf(distributed)).listeners, [{ workers: [1, 2] }]);
  await distributed.end();
});

test('a shared port 0 is the same in all workers, and a second one is another port', async (t) => {
  const app = await start(t, { listen: [any, any] });
  const [first, same] = await portsOf(app, 0);
  const [second, alike] = await portsOf(app, 1);
  t.deepEqual([first, second], [same, alike]);
  t.not(first, second);
  await app.end();
});

test('a shared Unix socket is served, and removed afterwards', async (t) => {
  const socket = path.join(temporaryDirectory(t), 'socket');
  const app = await start(t, { listen: { path: socket } });
  await servesAlone(t, app);
  await app.end();
  t.false(existsSync(socket));
});

test('a shared socket closes with the last worker that has it', async (t) => {
  const app = await start(t);
  app.tell(1, { do: 'close', index: 0 });
  await app.line({ server: 'closed', id: 1 });
  t.deepEqual(await countAnswers(app.target, 10), { 2: 10 });
  app.send({ do: 'signal', id: 2, signal: 'SIGKILL' });
  await app.line({ on: 'cluster', event: 'exit', id: 2 });
  await app.line({ on: 'cluster', event: 'disconnect', id: 2 });
  t.is(await connectionError(app.target), 'ECONNREFUSED');
  await app.end();
});

test('a shared port in use is an error of the server', async (t) => {
  const occupant = net.createServer().listen(0, HOST);
  await once(occupant, 'listening');
  const { port } = occupant.address();
  const app = await start(t, { listen: any });
  for (const id of [1, 2]) {
    app.tell(id, { do: 'listen', options: { port, host: HOST } });
    t.like(await app.line({ server: 'error', id }), { code: 'EADDRINUSE', syscall: 'bind', port });
  }
  occupant.close();
  // A worker does not share a port with itself either.
  app.tell(1, { do: 'listen', options: app.target });
  t.like(await app.line({ server: 'error', index: 2 }), { id: 1, code: 'EADDRINUSE' });
  await app.end();
});

test('a worker that is disconnected leaves a shared socket to the others', async (t) => {
  const app = await start(t);
  app.send({ do: 'disconnect', id: 1 });
  await app.line({ on: 'cluster', event: 'exit', id: 1 });
  t.deepEqual(await countAnswers(app.target, 10), { 2: 10 });
  await app.end();
});
