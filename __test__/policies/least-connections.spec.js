'use strict';

const { once } = require('node:events');
const http = require('node:http');
const net = require('node:net');
const tls = require('node:tls');
const { serial: test } = require('ava');
const { withoutRescue } = require('../helpers/app');
const { start } = require('../helpers/fixture');
const { isBuiltin } = require('../helpers/implementation');

/** Clients, by the kind of the server: each has read which worker serves its connection. */
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
  for (const kind of Object.keys(CLIENTS)) {
    test(`the worker with the fewest open connections gets the next: ${kind}`, async (t) => {
      const options = { kind, policy: 'SCHED_LEAST_CONNECTIONS', workers: 2 };
      const program = start(t, 'policies/least-connections', { args: [options] });
      const { port } = await program.line({});
      const closed = { 1: 0, 2: 0 };
      const open = async (count) => {
        const clients = [];
        while (clients.length < count) clients.push(await CLIENTS[kind](port));
        return clients;
      };
      const closeAll = async (clients) => {
        for (const { id, close } of clients) {
          close();
          closed[id] += 1;
        }
        for (const [id, count] of Object.entries(closed)) {
          await program.linesLike({ closed: id }, count);
        }
      };
      const played = await withoutRescue(program, async () => {
        const first = await open(6);
        const [kept, others] = ['1', '2'].map((id) => first.filter((it) => it.id === id));
        await closeAll(others);
        const second = await open(3);
        await closeAll([...kept, ...second]);
        return [first, second].map((clients) => clients.map(({ id }) => id).sort());
      });
      t.deepEqual(played, [
        ['1', '1', '1', '2', '2', '2'],
        ['2', '2', '2'],
      ]);
      await program.end();
    });
  }
} else {
  test('the built-in module does not have this policy', (t) => {
    t.is(require('node:cluster').SCHED_LEAST_CONNECTIONS, undefined);
  });
}
