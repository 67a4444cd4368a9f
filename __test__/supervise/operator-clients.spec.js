'use strict';

const { once } = require('node:events');
const net = require('node:net');
const { promisify } = require('node:util');
const { serial: test } = require('ava');
const { start } = require('../helpers/fixture');
const { connect } = require('../helpers/http-client');
const { isBuiltin } = require('../helpers/implementation');
const { adminOf, post, request, startOperated } = require('../helpers/operator');
const { slowdown } = require('../../tools/time-limit');

const LOCAL = { Host: 'localhost' };
/** As many clients as the admin endpoint serves at the same time, and the control socket. */
const ADMIN_CLIENTS = 64;
const CONTROL_CLIENTS = 32;
const PIPELINED = 1_000;
const STOPS = 12;
const BIG = 'a'.repeat(100_000);
/** More than the buffers of a socket hold. */
const TOO_MUCH = 'a'.repeat(500_000);

/** `[what, bytes, status]`: what is unusual, and allowed or refused on the admin endpoint. */
const UNUSUAL = [
  ['HTTP/1.0', 'GET /livez HTTP/1.0\r\n\r\n', 200],
  ['absolute form', 'GET http://localhost/livez HTTP/1.1\r\nHost: localhost\r\n\r\n', 200],
  ['another host in it', 'GET http://example.org/livez HTTP/1.1\r\nHost: example.org\r\n\r\n', 403],
  ['CONNECT', 'CONNECT example.org:443 HTTP/1.1\r\nHost: localhost\r\n\r\n', 404],
  ['OPTIONS *', 'OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n', 404],
  ['TRACE', 'TRACE /livez HTTP/1.1\r\nHost: localhost\r\n\r\n', 405],
  [
    'an upgrade',
    'GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
    200,
  ],
  ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', undefined],
  ['TLS', '\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03', undefined],
  [
    'a body',
    `GET /livez HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${BIG.length}\r\n\r\n${BIG}`,
    200,
  ],
  [
    'a body to come',
    'GET /livez HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n',
    200,
  ],
  [
    'two lengths',
    'GET /livez HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab',
    400,
  ],
];

// The built-in module does not supervise.
if (!isBuiltin) {
  test('clients that ask as fast as they can leave room for others', async (t) => {
    const app = await startOperated(t);
    const admin = await adminOf(app);
    const url = `http://${admin.host}:${admin.port}/status`;
    const flood = start(t, 'supervise/flood', { args: [url, `${ADMIN_CLIENTS * 2}`] });
    await flood.line({ floods: true });
    for (let i = 0; i < 20; i += 1) {
      const answers = [request(admin, '/metrics'), request(app.control, '/status'), app.ask()];
      const [metrics, status, { version }] = await Promise.all(answers);
      t.deepEqual([metrics.status, status.status, version], [200, 200, 'one']);
    }
    await flood.end();
    await app.end();
  });

  test('what is unusual is answered, or ends its connection', async (t) => {
    const app = await startOperated(t);
    const admin = await adminOf(app);
    for (const [what, bytes, status] of UNUSUAL) {
      const client = await connect(admin);
      client.write(bytes);
      if (status === undefined) {
        await client.end();
        t.regex(client.received, /^$|^HTTP\/1\.1 4\d\d /, what);
      } else {
        await client.text(`HTTP/1.${what === 'HTTP/1.0' ? 0 : 1} ${status} `);
        client.destroy();
      }
    }
    const slow = await connect(admin);
    for (const byte of 'GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n') slow.write(byte);
    t.is((await slow.answer()).body, 'ok\n');
    slow.destroy();
    await app.end();
  });

  test('the body of an order may be announced, and come in chunks, but not be long', async (t) => {
    const app = await startOperated(t);
    const control = { path: app.control.socketPath };
    const client = await connect(control);
    client.write('POST /scale HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n');
    client.write('Transfer-Encoding: chunked\r\n\r\n');
    await client.text('HTTP/1.1 100 Continue\r\n\r\n');
    for (const byte of '{"workers":3}') client.write(`1\r\n${byte}\r\n`);
    client.write('0\r\n\r\n');
    t.deepEqual((await client.answer()).json, { value: 3 });
    client.write('POST /scale HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n');
    for (let sent = 0; sent < 1_000_000 && !client.hasEnded; sent += BIG.length) {
      client.write(`${BIG.length.toString(16)}\r\n${BIG}\r\n`);
    }
    await client.text('HTTP/1.1 413 ');
    client.destroy();
    await app.end();
  });

  test('a client that reads only when it has sent too much still gets the answer', async (t) => {
    const app = await startOperated(t);
    const client = net.connect(app.control.socketPath).pause();
    const length = TOO_MUCH.length;
    const head = `POST /scale HTTP/1.1\r\nHost: x\r\nContent-Length: ${length}\r\n\r\n`;
    await promisify(client.write).call(client, head + TOO_MUCH);
    const received = [];
    for await (const chunk of client) received.push(chunk);
    t.regex(Buffer.concat(received).toString(), /^HTTP\/1\.1 413 /);
    await app.end();
  });

  test('however many requests one client sends at once, each is answered in order', async (t) => {
    const app = await startOperated(t);
    const client = await connect(await adminOf(app));
    for (let i = 0; i < PIPELINED; i += 1) client.send(i % 2 ? '/livez' : '/nothing', LOCAL);
    for (let i = 0; i < PIPELINED; i += 1) {
      const { status } = await client.answer();
      if (status !== (i % 2 ? 200 : 404)) t.fail(`${i}: ${status}`);
    }
    client.destroy();
    t.pass();
    await app.end();
  });

  test('a client that sends requests and reads nothing costs little memory', async (t) => {
    const app = await startOperated(t);
    const admin = await adminOf(app);
    const memory = async () => (await app.perform('memory')).rss;
    const before = await memory();
    const deaf = net.connect(admin).pause();
    deaf.on('error', () => {});
    await once(deaf, 'connect');
    const sent = `${'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(1_000)}`;
    for (let i = 0; i < 20; i += 1) deaf.write(sent);
    // Others take their turns between these requests.
    for (let i = 0; i < 50; i += 1) await request(admin, '/livez');
    const used = (await memory()) - before;
    t.true(used < 50e6, `${used} bytes`);
    deaf.destroy();
    await app.end();
  });

  test('the control socket tells clients when too many wait', async (t) => {
    const app = await startOperated(t);
    const waiting = [];
    while (waiting.length < CONTROL_CLIENTS) {
      const client = await connect({ path: app.control.socketPath });
      client.write('POST /hold HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n');
      waiting.push(client);
    }
    const { status, json } = await request(app.control, '/status');
    t.is(status, 503);
    t.is(json().error.code, 'ERR_RS_CLUSTER_TOO_MANY_CLIENTS');
    for (const client of waiting) client.destroy();
    t.is((await request(app.control, '/status')).status, 200);
    await app.end();
  });

  test('several operators may stop a program', async (t) => {
    const app = await startOperated(t);
    const stops = Array.from({ length: STOPS }, () => post(app.control, '/stop'));
    for (const { status } of await Promise.all(stops)) t.true([200, 409].includes(status));
    const { code, stderr } = await app.exited;
    t.is(code, 0);
    t.is(stderr, '');
  });

  test('operators wait while there are no descriptors, and are answered afterwards', async (t) => {
    const app = await startOperated(t);
    const admin = await adminOf(app);
    await app.perform('exhaust');
    const answers = [admin, app.control].map((target) => request(target, '/readyz'));
    const busy = await app.perform('measure', 500);
    t.true(busy < 0.3 * slowdown(), `${busy} of a processor`);
    await app.perform('refill');
    for (const { status } of await Promise.all(answers)) t.is(status, 200);
    await app.end();
  });
}
