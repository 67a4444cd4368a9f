'use strict';

const http = require('node:http');
const net = require('node:net');
const { serial: test } = require('ava');
const { get, text } = require('../helpers/client');
const { isBuiltin } = require('../helpers/implementation');
const { serves } = require('../helpers/programs');
const { startSupervised } = require('../helpers/supervised');

const EATS = `
const all = [];
setInterval(() => {
  if (require('node:fs').existsSync('eat')) all.push(Buffer.alloc(40_000_000, 1));
}, 20);
`;
const ECHO = `
require('node:net').createServer((socket) => socket.end(\`\${process.pid}\`)).listen(process.argv[2], '127.0.0.1');
`;
const LONG = 20_000;

/** The replacements of a reason: the numbers of their slots. */
const slotsOf = (lines) => lines.map(({ slot }) => slot);

// The built-in module does not supervise.
if (!isBuiltin) {
  test('a worker that takes more than maxMemory is replaced, start before stop', async (t) => {
    const options = { workers: 1, maxMemory: '250M', jitter: 0 };
    const app = await startSupervised(t, { program: serves('one', { before: EATS }), options });
    const [pid] = await app.pids();
    t.is((await app.status()).slots[0].pid, pid, 'it is below the limit');
    app.deploy('', 'eat');
    const { from, to } = await app.line({ on: 'supervisor', event: 'replace', reason: 'memory' });
    t.is(from, 1);
    const left = await app.line({ on: 'cluster', event: 'disconnect', id: 1 });
    const listened = app.lines.findIndex(({ event, id }) => event === 'listening' && id === to);
    t.true(listened >= 0 && listened < app.lines.indexOf(left), 'the new one listens first');
    await app.end();
  });

  test('workers are replaced at maxAge, never two at once', async (t) => {
    const options = { workers: 3, maxAge: 1_000, minUptime: 100, jitter: 0 };
    const app = await startSupervised(t, { options });
    const replaced = { on: 'supervisor', event: 'replace', reason: 'age' };
    t.deepEqual(slotsOf(await app.linesLike(replaced, 3)).sort(), [0, 1, 2]);
    const starts = app.seen({ on: 'cluster', event: 'fork' }).slice(3);
    const ends = app.seen(replaced);
    const order = app.lines.filter((line) => starts.includes(line) || ends.includes(line));
    const kinds = order.map(({ event }) => event);
    for (const [index, kind] of kinds.entries()) {
      t.is(kind, index % 2 === 0 ? 'fork' : 'replace', kinds.join());
    }
    t.deepEqual(app.events('backoff'), []);
    await app.end();
  });

  test('a worker is replaced after maxRequests requests, on one connection as well', async (t) => {
    const options = { workers: 1, maxRequests: 20, jitter: 0, minUptime: 50 };
    const app = await startSupervised(t, { options });
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    t.teardown(() => agent.destroy());
    const pids = [];
    while (pids.length < 19) pids.push((await get(app.target, { agent })).pid);
    t.is(new Set(pids).size, 1);
    await app.status();
    t.deepEqual(app.events('replace', { reason: 'requests' }), []);
    // The engine looks now and then, so that some more may be served.
    while (app.events('replace', { reason: 'requests' }).length === 0) {
      await get(app.target, { agent });
    }
    await app.end();
  });

  test('connections are counted instead, if the server is not one of HTTP', async (t) => {
    const options = { workers: 1, maxRequests: 10, jitter: 0, minUptime: 50 };
    const app = await startSupervised(t, { program: ECHO, options });
    const ask = () => text(net.connect(app.target));
    const first = await ask();
    for (let i = 0; i < 8; i += 1) t.is(await ask(), first);
    while (app.events('replace', { reason: 'requests' }).length === 0) await ask();
    await app.end();
  });

  test('no worker is recycled while it is held', async (t) => {
    const app = await startSupervised(t, { options: { workers: 1, maxAge: 2_000, jitter: 0 } });
    await app.perform('hold');
    const [pid] = await app.pids();
    await app.statusWhen(({ slots }) => slots[0].uptime > 3_000);
    t.deepEqual(await app.pids(), [pid]);
    await app.perform('release');
    await app.line({ on: 'supervisor', event: 'replace', reason: 'age' });
    await app.end();
  });

  test('a successor that fails leaves the worker where it is', async (t) => {
    const options = { workers: 1, maxAge: 1_500, jitter: 0, minUptime: LONG, restartDelay: LONG };
    options.maxRestartDelay = LONG;
    const app = await startSupervised(t, { options });
    const [pid] = await app.pids();
    app.deploy('process.exit(3);');
    await app.line({ on: 'cluster', event: 'exit', id: 2 });
    t.deepEqual(await app.pids(), [pid]);
    t.is((await app.ask()).pid, pid);
    await app.end();
  });
}
