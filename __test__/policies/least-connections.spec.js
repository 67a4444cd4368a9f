'use strict';

const { once } = require('node:events');
const http = require('node:http');
const net = require('node:net');
const tls = require('node:tls');
const { serial: test } = require('ava');
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
} else {
  test('the built-in module does not have this policy', (t) => {
    t.is(require('node:cluster').SCHED_LEAST_CONNECTIONS, undefined);
  });
}
