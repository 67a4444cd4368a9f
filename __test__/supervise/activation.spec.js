'use strict';

// Sockets that the service manager has bound, and gives to the primary.

const { existsSync } = require('node:fs');
const path = require('node:path');
const { serial: test } = require('ava');
const { PROGRAM, startActivated } = require('../helpers/activated');
const { askDatagrams, connectionError, get } = require('../helpers/client');
const { freePort } = require('../helpers/free-port');
const { isBuiltin } = require('../helpers/implementation');
const { POLICIES } = require('../helpers/policies');
const { startSupervised, untilGone } = require('../helpers/supervised');
const { temporaryDirectory } = require('../helpers/temporary');

const HOST = '127.0.0.1';
const NAMES = ['LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES'];

const WARNING = /^\(node:\d+\) \[ERR_RS_CLUSTER_ACTIVATION\] ActivationWarning: (.*)$/gm;

/** What the primary has warned of. */
const warnings = ({ stderr }) => [...stderr.matchAll(WARNING)].map(([, text]) => text);

/** Answers datagrams. */
const DATAGRAMS = `'use strict';
const socket = require('node:dgram').createSocket('udp4');
socket.on('message', (_, { port, address }) =>
  socket.send(JSON.stringify({ pid: process.pid }), port, address));
socket.bind(JSON.parse(process.argv[2]));
`;

// The built-in module does not supervise.
for (const policy of isBuiltin ? [] : POLICIES) {
  test(`a socket of the service manager serves all workers: ${policy}`, async (t) => {
    const port = await freePort();
    const sockets = [{ name: 'app.socket', tcp: `${HOST}:${port}` }];
    const listen = { host: HOST, port };
    const app = await startActivated(t, { sockets, listen, options: { policy } });
    t.true((await app.pids()).includes((await get(listen)).pid));
    await app.perform('reload');
    const { address, env } = await get(listen);
    t.deepEqual(address, { address: HOST, family: 'IPv4', port });
    for (const name of NAMES) t.is(env[name], undefined);
    const ended = await app.leave();
    t.deepEqual(ended, { manager: 'ended', code: 0, sockets: { 'app.socket': true }, stored: [] });
  });

  test(`a path of the service manager is never removed: ${policy}`, async (t) => {
    const file = path.join(temporaryDirectory(t), 'socket');
    const app = await startActivated(t, {
      sockets: [{ name: 'app.socket', unix: file }],
      listen: { path: file },
      options: { policy },
    });
    t.is(typeof (await get({ socketPath: file })).pid, 'number');
    await app.perform('reload');
    t.is(typeof (await get({ socketPath: file })).pid, 'number');
    t.true((await app.leave()).sockets['app.socket']);
    t.true(existsSync(file));
  });
}

if (!isBuiltin) {
  const served = [
    ['an IPv6 address', (port) => [`[::1]:${port}`], { host: '::1' }, ['::1']],
    ['both families', (port) => [`[::]:${port}`], {}, ['::1', HOST]],
    ['both families, for all of IPv4', (port) => [`[::]:${port}`], { host: '0.0.0.0' }, [HOST]],
    [
      'one socket for each family',
      (port) => [`[::%only]:${port}`, `0.0.0.0:${port}`],
      {},
      ['::1', HOST],
    ],
    ['IPv4 alone', (port) => [`0.0.0.0:${port}`], {}, [HOST]],
  ];
  for (const [title, addresses, listen, hosts] of served) {
    for (const policy of ['SCHED_RR', 'SCHED_REUSEPORT', 'SCHED_NONE']) {
      test(`a socket of the service manager is found by its address: ${title}, ${policy}`, async (t) => {
        const port = await freePort();
        const sockets = addresses(port).map((tcp, index) => ({ name: `${index}`, tcp }));
        const how = { sockets, listen: { port, ...listen }, options: { policy } };
        const app = await startActivated(t, how);
        for (const host of hosts) t.is(typeof (await get({ host, port })).pid, 'number', host);
        const { sockets: listening } = await app.leave();
        t.true(Object.values(listening).every(Boolean));
      });
    }
  }

  test('an abstract name of the service manager is found', async (t) => {
    // As long as can be: Node 20 fills up shorter ones.
    const name = `rs-cluster-${process.pid}-`.padEnd(107, 'x');
    const app = await startActivated(t, {
      sockets: [{ name: 'app.socket', abstract: name }],
      listen: { path: `\0${name}` },
    });
    t.is(typeof (await get({ socketPath: `\0${name}` })).pid, 'number');
    t.true((await app.leave()).sockets['app.socket']);
  });

  for (const policy of ['SCHED_RR', 'SCHED_REUSEPORT', 'SCHED_NONE']) {
    test(`datagrams of a socket of the service manager are received: ${policy}`, async (t) => {
      const port = await freePort();
      const app = await startActivated(t, {
        program: DATAGRAMS,
        sockets: [{ name: 'app.socket', udp: `${HOST}:${port}` }],
        listen: { port, address: HOST },
        options: { policy },
      });
      const [{ pid, from }] = await askDatagrams({ host: HOST, port }, ['']);
      t.true((await app.pids()).includes(pid));
      t.is(from, port);
      await app.leave();
    });
  }

  test('a worker may name the descriptor of the service manager', async (t) => {
    const port = await freePort();
    const app = await startActivated(t, {
      sockets: [{ name: 'app.socket', tcp: `${HOST}:${port}` }],
      listen: { fd: 3 },
    });
    t.is((await get({ host: HOST, port })).address.port, port);
    t.true((await app.leave()).sockets['app.socket']);
    t.deepEqual(warnings(app), []);
  });

  test('an address that workers close and listen on again is the same socket', async (t) => {
    const port = await freePort();
    const listen = { host: HOST, port };
    const app = await startActivated(t, {
      program: PROGRAM.replace(
        "server.close(() => process.send('closed'))",
        "server.close(() => server.listen(JSON.parse(process.argv[2]), () => process.send('again')))",
      ),
      sockets: [{ name: 'app.socket', tcp: `${HOST}:${port}` }],
      listen,
      options: { workers: 1 },
    });
    const [id] = await app.ids();
    await app.perform('tell', id, 'close');
    await app.line({ from: id, message: 'again' });
    t.is(typeof (await get(listen)).pid, 'number');
    t.true((await app.leave()).sockets['app.socket']);
  });

  test('an address that no worker asks for stays open, with a warning', async (t) => {
    const [port, other] = [await freePort(), await freePort()];
    const app = await startActivated(t, {
      sockets: [
        { name: 'one.socket', tcp: `${HOST}:${port}` },
        { name: 'other.socket', tcp: `${HOST}:${other}` },
      ],
      listen: { host: HOST, port },
      warns: true,
    });
    t.is(await connectionError({ host: HOST, port: other }), undefined);
    t.deepEqual((await app.leave()).sockets, { 'one.socket': true, 'other.socket': true });
    const text = 'no worker listens on what the service manager has bound: tcp';
    t.deepEqual(warnings(app), [`${text} ${HOST}:${other}`]);
  });

  test('the next primary gets the sockets, those that no worker asks for too', async (t) => {
    const [port, other] = [await freePort(), await freePort()];
    const app = await startActivated(t, {
      sockets: [
        { name: 'one.socket', tcp: `${HOST}:${port}` },
        { name: 'other.socket', tcp: `${HOST}:${other}` },
      ],
      listen: { host: HOST, port },
      options: { minUptime: 100 },
      warns: true,
    });
    const pids = await app.pids();
    const { pid } = await app.perform('upgrade');
    for (const old of pids) await untilGone(old);
    t.false(pids.includes((await get({ host: HOST, port })).pid));
    // The next one listens on both.
    const both = `for (const port of [${port}, ${other}]) {
      require('node:http').createServer((_, response) => response.end('[]')).listen(port, '${HOST}');
    }`;
    app.deploy(both);
    process.kill(pid, 'SIGHUP');
    await app.line({ primary: pid, on: 'supervisor', event: 'reload' });
    for (const at of [port, other]) t.deepEqual(await get({ host: HOST, port: at }), []);
    process.kill(pid, 'SIGTERM');
    const { sockets } = await app.line({ manager: 'ended' });
    t.deepEqual(sockets, { 'one.socket': true, 'other.socket': true });
    await app.exited;
  });

  test('descriptors that can not serve are left alone, with a warning', async (t) => {
    const [port, silent] = [await freePort(), await freePort()];
    const app = await startActivated(t, {
      sockets: [
        { name: 'connection', connection: true },
        { name: 'silent', silent: `${HOST}:${silent}` },
        { name: 'datagrams', other: true },
        { name: 'app.socket', tcp: `${HOST}:${port}` },
      ],
      listen: { host: HOST, port },
      warns: true,
    });
    t.is(typeof (await get({ host: HOST, port })).pid, 'number');
    await app.leave();
    const refused = (which, reason) =>
      `descriptor ${which} of the service manager serves no worker, because it ${reason}`;
    t.deepEqual(warnings(app), [
      refused('3 (connection)', 'is a connection'),
      refused('4 (silent)', 'does not listen'),
      refused('5 (datagrams)', 'is not a socket of TCP, UDP or a stream of Unix'),
    ]);
  });

  test('descriptors of another process are left alone', async (t) => {
    const env = { LISTEN_PID: '1', LISTEN_FDS: '1', LISTEN_FDNAMES: 'app.socket' };
    const app = await startSupervised(t, { env });
    const { env: found } = await app.ask();
    for (const name of NAMES) t.is(found[name], env[name]);
    await app.end();
  });

  test('with systemd: false descriptors are left alone', async (t) => {
    const [port, other] = [await freePort(), await freePort()];
    const app = await startActivated(t, {
      sockets: [{ name: 'app.socket', tcp: `${HOST}:${other}` }],
      listen: { host: HOST, port },
      options: { systemd: false },
    });
    t.is((await get({ host: HOST, port })).env.LISTEN_FDS, '1');
    await app.leave();
    t.deepEqual(warnings(app), []);
  });
}
