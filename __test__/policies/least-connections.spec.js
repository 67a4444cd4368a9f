'use strict';

const { once } = require('node:events');
const http = require('node:http');
const net = require('node:net');
const tls = require('node:tls');
const { serial: test } = require('ava');
const { rescued, statsOf, statsWhenReachable } = require('../helpers/app');
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
      const connect = () => CLIENTS[kind](port);
      // On a busy machine a worker may seem blocked, and lose connections to the other one.
      const rescuedSince = async (before = 0) => rescued(await statsOf(program)) - before;
      const first = [];
      const of = (id) => first.filter((client) => client.id === id);
      while (of('1').length < 3 || of('2').length < 3) first.push(await connect());
      t.true(first.length === 6 || (await rescuedSince()) > 0);
      const closed = of('2');
      for (const { close } of closed) close();
      await program.linesLike({ closed: '2' }, closed.length);
      const before = rescued(await statsWhenReachable(program));
      const second = [];
      for (let i = 0; i < 3; i += 1) second.push(await connect());
      const areExact = second.every(({ id }) => id === '2');
      t.true(areExact || (await rescuedSince(before)) > 0);
      for (const { close } of [...first, ...second]) close();
      const served = [...first, ...second].map(({ id }) => id);
      for (const id of ['1', '2']) {
        const count = served.filter((other) => other === id).length;
        await program.linesLike({ closed: id }, count);
      }
      await program.end();
    });
  }
} else {
  test('the built-in module does not have this policy', (t) => {
    t.is(require('node:cluster').SCHED_LEAST_CONNECTIONS, undefined);
  });
}
