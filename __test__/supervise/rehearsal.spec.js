'use strict';

const dgram = require('node:dgram');
const { once } = require('node:events');
const { existsSync } = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { serial: test } = require('ava');
const { startInternal } = require('../helpers/internal');
const { POLICIES } = require('../helpers/policies');
const { temporaryDirectory } = require('../helpers/temporary');

const HOST = '127.0.0.1';
const NAMES = {
  SCHED_RR: 'rr',
  SCHED_LEAST_CONNECTIONS: 'least-connections',
  SCHED_SOURCE_HASH: 'source-hash',
  SCHED_REUSEPORT: 'reuseport',
  SCHED_NONE: 'none',
};

/** Listens on the addresses that are its arguments in every way there is, and reports what they are then. */
const PROGRAM = `
const dgram = require('node:dgram');
const net = require('node:net');
const [tcp, exclusive, udp, exclusiveUdp, path] = process.argv.slice(2);
const host = '127.0.0.1';
const report = (name) => function () { process.send({ name, address: this.address() }); };
const failed = (name) => ({ code }) => process.send({ name, code });
const serve = (name, options) =>
  net.createServer().on('error', failed(name)).listen(options, report(name));
const receive = (name, options) =>
  dgram.createSocket({ type: 'udp4', reusePort: options.exclusive }).on('error', failed(name)).bind(options, report(name));
serve('tcp', { port: +tcp, host });
// Older versions of Node ignore reusePort.
serve('exclusive', { port: +exclusive, host, exclusive: true, reusePort: true });
serve('path', { path });
serve('any', { port: 0, host });
serve('twice', { port: +tcp, host, backlog: 5 });
serve('elsewhere', { port: 80, host: '192.0.2.1' });
receive('udp', { port: +udp, address: host });
receive('exclusiveUdp', { port: +exclusiveUdp, address: host, exclusive: true });
`;

/** The service that runs already: addresses that are in use. */
async function service(t) {
  const socket = path.join(temporaryDirectory(t), 'service.sock');
  const servers = [net.createServer(), net.createServer(), net.createServer()];
  const places = [{ port: 0, host: HOST }, { port: 0, host: HOST }, { path: socket }];
  const datagrams = [dgram.createSocket('udp4'), dgram.createSocket('udp4')];
  for (const [index, server] of servers.entries()) {
    server.on('connection', (connection) => connection.end('service'));
    server.listen(places[index]);
    await once(server, 'listening');
  }
  for (const socket of datagrams) {
    socket.bind(0, HOST);
    await once(socket, 'listening');
  }
  t.teardown(() => {
    for (const it of [...servers, ...datagrams]) it.close();
  });
  const [tcp, exclusive] = servers.map((server) => server.address().port);
  const [udp, exclusiveUdp] = datagrams.map((it) => it.address().port);
  return { tcp, exclusive, udp, exclusiveUdp, socket, datagrams };
}

/** What a server at the address says. */
async function ask(options) {
  const connection = net.connect(options);
  let said = '';
  for await (const bytes of connection) said += bytes;
  return said;
}

for (const policy of POLICIES) {
  test(`${policy}: a rehearsal takes no address from the service that runs`, async (t) => {
    const { tcp, exclusive, udp, exclusiveUdp, socket, datagrams } = await service(t);
    const args = [tcp, exclusive, udp, exclusiveUdp, socket].map(String);
    const app = startInternal(t, {
      program: PROGRAM,
      options: { args, workers: 1 },
      internal: { rehearse: true },
      env: { NODE_CLUSTER_SCHED_POLICY: NAMES[policy] },
    });
    await app.ready();
    const said = async (name) => {
      for (;;) {
        const found = app.lines.find(({ message }) => message?.name === name);
        if (found) return found.message;
        await once(app, 'news');
      }
    };
    const address = (port) => ({ address: HOST, family: 'IPv4', port });
    t.deepEqual(await said('tcp'), { name: 'tcp', address: address(tcp) });
    t.deepEqual(await said('exclusive'), { name: 'exclusive', address: address(exclusive) });
    t.deepEqual(await said('udp'), { name: 'udp', address: address(udp) });
    const datagram = await said('exclusiveUdp');
    t.deepEqual(datagram, { name: 'exclusiveUdp', address: address(exclusiveUdp) });
    t.deepEqual(await said('path'), { name: 'path', address: socket });
    t.true((await said('any')).address.port > 0);
    t.deepEqual(await said('twice'), { name: 'twice', code: 'EADDRINUSE' });
    t.deepEqual(await said('elsewhere'), { name: 'elsewhere', code: 'EADDRNOTAVAIL' });

    // The events name what was asked for.
    const listening = { addressType: 4, address: HOST };
    await app.line({ ...listening, port: tcp });
    await app.line({ ...listening, port: exclusive });
    await app.line({ addressType: -1, address: socket });
    await app.line({ addressType: 'udp4', port: udp });

    // Everything reaches the service.
    for (const place of [{ port: tcp }, { port: exclusive }, { path: socket }]) {
      t.is(await ask({ host: HOST, ...place }), 'service');
    }
    const client = dgram.createSocket('udp4');
    for (const it of datagrams) {
      const received = once(it, 'message');
      client.send('hello', it.address().port, HOST);
      t.is(`${(await received)[0]}`, 'hello');
    }
    client.close();

    await app.end();
    t.true(existsSync(socket));
  });
}
