'use strict';

// Every kind of address goes over to the new primary: the same socket, and no client notices.

const dgram = require('node:dgram');
const { statSync } = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { serial: test } = require('ava');
const { get } = require('../helpers/client');
const { freePort } = require('../helpers/free-port');
const { isBuiltin } = require('../helpers/implementation');
const { POLICIES } = require('../helpers/policies');
const { temporaryDirectory } = require('../helpers/temporary');
const { listeningOn } = require('../helpers/traces');
const { HOST, startUpgraded } = require('../helpers/upgraded');
const { HAS_PROC, becomesTrue } = require('../../tools/process-group');

const LIMIT = 120_000;
const WITHIN = 20_000;

/** Serves on all addresses of its first argument, and echoes datagrams on the port of the second. */
const PROGRAM = `'use strict';
const dgram = require('node:dgram');
const http = require('node:http');
const [addresses, port] = process.argv.slice(2).map((arg) => JSON.parse(arg));
for (const address of addresses) {
  http.createServer((_request, response) => response.end(JSON.stringify({ pid: process.pid }))).listen(address);
}
if (port) {
  const socket = dgram.createSocket('udp4');
  socket.on('message', (message, { port, address }) => socket.send(message, port, address));
  socket.bind(port, ${JSON.stringify(HOST)});
}
`;

/** Serves on the first address, and on the second: at once, or when it is asked to. */
const LATE = `'use strict';
const http = require('node:http');
const [first, second, when] = process.argv.slice(2).map((arg) => JSON.parse(arg));
const answer = (response) => response.end(JSON.stringify({ pid: process.pid }));
const late = http.createServer((_request, response) => answer(response));
const server = http.createServer(({ url }, response) => {
  // An answer to the other is never begun.
  if (url === '/listen') late.listen(second, () => answer(response));
  else if (url !== '/wait') answer(response);
});
server.listen(first);
if (when === 'at once') late.listen(second);
`;

/** Opens connections, one after the other, each with a request; all of them must be answered. */
function startAsking(t, targets) {
  const found = { answered: 0, errors: [] };
  let isOver = false;
  t.teardown(() => {
    isOver = true;
  });
  const asking = targets.map(async (target) => {
    while (!isOver) {
      try {
        await get(target);
        found.answered += 1;
      } catch (error) {
        found.errors.push(`${JSON.stringify(target)}: ${error.message}`);
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
  });
  return async () => {
    isOver = true;
    await Promise.all(asking);
    return found;
  };
}

// The built-in module does not supervise.
if (!isBuiltin && HAS_PROC) {
  for (const policy of POLICIES) {
    test(`${policy}: TCP, IPv6, Unix, abstract and UDP sockets go over`, async (t) => {
      t.timeout(LIMIT);
      const file = path.join(temporaryDirectory(t), 'socket');
      const abstract = `\0rs-cluster-${process.pid}-${policy}`;
      const [port, ipv6, udp] = [await freePort(), await freePort(), await freePort()];
      const addresses = [
        { host: HOST, port },
        { host: '::1', port: ipv6 },
        { path: file },
        { path: abstract },
      ];
      const app = await startUpgraded(t, {
        program: PROGRAM,
        settings: { policy, args: [JSON.stringify(addresses), `${udp}`] },
        timeout: LIMIT,
      });
      const inodes = listeningOn(port);
      const { ino } = statSync(file);
      const targets = addresses.map(({ path: socketPath, ...target }) =>
        socketPath ? { socketPath } : target,
      );
      const stop = startAsking(t, targets);
      const client = dgram.createSocket('udp4');
      t.teardown(() => client.close());
      let echoed = 0;
      client.on('message', () => {
        echoed += 1;
      });
      for (let i = 0; i < 3; i += 1) {
        const before = echoed;
        await app.upgrade();
        await app.untilSettled();
        t.is(statSync(file).ino, ino, 'the file of the socket');
        // Under SCHED_REUSEPORT there is one for each worker.
        t.true(
          listeningOn(port).every((it) => inodes.includes(it)),
          'bound anew',
        );
        const isEchoed = async () => {
          client.send('x', udp, HOST);
          return echoed > before;
        };
        t.true(await becomesTrue(isEchoed, WITHIN), 'datagrams');
      }
      const { answered, errors } = await stop();
      t.deepEqual(errors.slice(0, 5), []);
      t.true(answered > 100, `${answered}`);
      t.is((await app.stop()).code, 0);
      t.throws(() => statSync(file), { code: 'ENOENT' });
      t.deepEqual(listeningOn(port), []);
    });
  }

  test('no datagram is lost while the primary is upgraded', async (t) => {
    t.timeout(LIMIT);
    const udp = await freePort();
    const app = await startUpgraded(t, {
      program: PROGRAM,
      settings: { args: ['[]', `${udp}`], readyWhen: 'listening' },
      timeout: LIMIT,
    });
    const client = dgram.createSocket('udp4');
    t.teardown(() => client.close());
    const seen = new Set();
    client.on('message', (message) => seen.add(message.toString()));
    let sent = 0;
    const timer = setInterval(() => {
      client.send(`${sent}`, udp, HOST);
      sent += 1;
    }, 2);
    t.teardown(() => clearInterval(timer));
    await app.upgrade();
    await app.untilSettled();
    clearInterval(timer);
    await becomesTrue(() => seen.size === sent, WITHIN);
    t.true(sent > 100);
    t.is(seen.size, sent);
    t.is((await app.stop()).code, 0);
  });

  test('a port that the system has chosen stays the same', async (t) => {
    t.timeout(LIMIT);
    const app = await startUpgraded(t, {
      program: PROGRAM,
      settings: { args: [JSON.stringify([{ host: HOST, port: 0 }])] },
      timeout: LIMIT,
    });
    const addressOf = ({ listeners }) => listeners[0].address;
    const address = addressOf(await app.status());
    await app.upgrade();
    await app.untilSettled();
    t.is(addressOf(await app.status()), address);
    const [, port] = /:(\d+)$/.exec(address);
    t.is(typeof (await get({ host: HOST, port: Number(port) })).pid, 'number');
    t.is((await app.stop()).code, 0);
  });

  test('an address that the new program gives up closes with the last old worker, and it may have others', async (t) => {
    t.timeout(LIMIT);
    const [first, second] = [await freePort(), await freePort()];
    const at = (port) => [JSON.stringify([{ host: HOST, port }])];
    const app = await startUpgraded(t, {
      program: PROGRAM,
      settings: { args: at(first) },
      timeout: LIMIT,
    });
    app.change({ args: at(second) });
    await app.upgrade();
    await app.untilSettled();
    t.is(typeof (await get({ host: HOST, port: second })).pid, 'number');
    const isRefused = async () => {
      const { code } = await get({ host: HOST, port: first }).catch((error) => error);
      return code === 'ECONNREFUSED';
    };
    t.true(await becomesTrue(isRefused, WITHIN));
    t.is((await app.stop()).code, 0);
  });

  for (const [kind, policy] of [
    ['a port', 'SCHED_RR'],
    ['a path', 'SCHED_RR'],
    ['a port', 'SCHED_REUSEPORT'],
    ['a path', 'SCHED_NONE'],
  ]) {
    test(`${policy}: an address is still open when a worker of the new primary asks for it later: ${kind}`, async (t) => {
      t.timeout(LIMIT);
      const first = { host: HOST, port: await freePort() };
      const second =
        kind === 'a port'
          ? { host: HOST, port: await freePort() }
          : { path: path.join(temporaryDirectory(t), 'socket') };
      const target = kind === 'a port' ? second : { socketPath: second.path };
      const args = (when) => [first, second, when].map((it) => JSON.stringify(it));
      const app = await startUpgraded(t, {
        program: LATE,
        settings: { args: args('at once'), workers: 1, policy },
        timeout: LIMIT,
      });
      // The old worker has this as long as the client wants.
      const waiting = net.connect(first.port, HOST);
      waiting.on('error', () => {});
      waiting.write('GET /wait HTTP/1.1\r\nHost: a\r\n\r\n');
      await get(first);
      app.change({ args: args('later') });
      await app.upgrade();
      const { pid } = await get({ ...first, path: '/listen' });
      t.deepEqual(await app.pids(), [pid]);
      waiting.destroy();
      await app.untilSettled();
      t.is((await get(target)).pid, pid);
      t.is((await app.stop()).code, 0);
      if (kind === 'a path') t.throws(() => statSync(second.path), { code: 'ENOENT' });
    });
  }
}
