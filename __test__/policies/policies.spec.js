'use strict';

const { once } = require('node:events');
const http = require('node:http');
const net = require('node:net');
const path = require('node:path');
const tls = require('node:tls');
const { serial: test } = require('ava');
const { startApp } = require('../helpers/app');
const { countAnswers, get } = require('../helpers/client');
const { run, start } = require('../helpers/fixture');
const { isBuiltin } = require('../helpers/implementation');
const { temporaryDirectory } = require('../helpers/temporary');

const LEAST_CONNECTIONS = 3;
const SOURCE_HASH = 4;

/** A client that has read which worker has its connection; `kind` is the kind of the server. */
const CLIENTS = {
  net: (port) => greeted(net.connect(port, '127.0.0.1')),
  tls: (port) => greeted(tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false })),
  async http(port) {
    const agent = new http.Agent({ keepAlive: true });
    const request = http.get({ port, host: '127.0.0.1', agent });
    const [response] = await once(request, 'response');
    const [id] = await once(response.resume(), 'data');
    return { id: `${id}`, close: () => agent.destroy() };
  },
};

async function greeted(socket) {
  const [id] = await once(socket, 'data');
  return { id: `${id}`, close: () => socket.destroy() };
}

if (!isBuiltin) {
  for (const [name, policy] of [
    ['least-connections', LEAST_CONNECTIONS],
    ['source-hash', SOURCE_HASH],
  ]) {
    test(`NODE_CLUSTER_SCHED_POLICY=${name} makes the policy ${policy}`, async (t) => {
      const { lines } = await run(t, 'policies/scheduling-policy', {
        env: { NODE_CLUSTER_SCHED_POLICY: name },
      });
      t.deepEqual(lines, [{ policy }]);
    });
  }

  for (const kind of Object.keys(CLIENTS)) {
    test(`the worker with the fewest open connections gets the next: ${kind}`, async (t) => {
      const options = { kind, policy: 'SCHED_LEAST_CONNECTIONS', workers: 2 };
      const program = start(t, 'policies/least-connections', { args: [options] });
      const { port } = await program.line({});
      const connect = () => CLIENTS[kind](port);
      const first = [];
      for (let i = 0; i < 6; i += 1) first.push(await connect());
      t.deepEqual(first.map(({ id }) => id).sort(), ['1', '1', '1', '2', '2', '2']);
      for (const { id, close } of first) if (id === '2') close();
      await program.linesLike({ closed: '2' }, 3);
      const second = [];
      for (let i = 0; i < 3; i += 1) second.push(await connect());
      t.deepEqual(
        second.map(({ id }) => id),
        ['2', '2', '2'],
      );
      for (const { close } of [...first, ...second]) close();
      await program.linesLike({ closed: '1' }, 3);
      await program.linesLike({ closed: '2' }, 6);
      await program.end();
    });
  }

  const startHashed = (t, listen) =>
    startApp(t, { workers: 3, policies: [SOURCE_HASH, SOURCE_HASH], listen });

  test('the clients of an address stay with one worker, other clients go to other workers', async (t) => {
    const app = await startHashed(t, { port: 0, host: '127.0.0.1' });
    const addresses = Array.from({ length: 20 }, (_, index) => `127.0.0.${index + 1}`);
    const ask = async () => {
      const ids = [];
      for (const localAddress of addresses) {
        ids.push((await get(app.target, { localAddress })).id);
      }
      return ids;
    };
    const before = await ask();
    t.is(new Set(before).size, 3);
    t.deepEqual(await ask(), before);
    app.send({ do: 'signal', id: 2, signal: 'SIGKILL' });
    await app.line({ on: 'cluster', event: 'exit', id: 2 });
    const after = await ask();
    for (const [index, id] of after.entries()) {
      if (before[index] === 2) t.not(id, 2);
      else t.is(id, before[index]);
    }
    await app.end();
  });

  test('an IPv4 client of an IPv6 server has an address as well', async (t) => {
    const app = await startHashed(t, { port: 0 });
    const target = { ...app.target, host: '127.0.0.1' };
    t.is(Object.keys(await countAnswers(target, 10)).length, 1);
    await app.end();
  });

  test('clients of a Unix socket have no address, and go to the workers in turn', async (t) => {
    const socketPath = path.join(temporaryDirectory(t), 'socket');
    const app = await startHashed(t, { path: socketPath });
    t.deepEqual(await countAnswers({ socketPath }, 9), { 1: 3, 2: 3, 3: 3 });
    await app.end();
  });
} else {
  test('the built-in module has two policies', (t) => {
    const policies = Object.keys(require('node:cluster')).filter((name) => /^SCHED_/.test(name));
    t.deepEqual(policies, ['SCHED_NONE', 'SCHED_RR']);
  });
}
