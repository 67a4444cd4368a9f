'use strict';

const { once } = require('node:events');
const net = require('node:net');
const path = require('node:path');
const { serial: test } = require('ava');
const { connect } = require('../helpers/http-client');
const { freePort } = require('../helpers/free-port');
const { isBuiltin } = require('../helpers/implementation');
const {
  OPEN_METRICS,
  adminOf,
  blockPrimary,
  post,
  request,
  startOperated,
} = require('../helpers/operator');
const { startSupervised } = require('../helpers/supervised');
const { becomesTrue } = require('../../tools/process-group');
const { slowdown } = require('../../tools/time-limit');

const REQUESTS = 1_000;
/** How long an answer may take while all JavaScript is stuck, in ms. */
const ANSWER_LIMIT = 10;
/** How often that is tried. */
const SERIES = 5;
const SLOW_CLIENTS = 500;
const SCRAPES = 50;
const LONG_HEAD = 20_000;

const READABLE = {
  '/': 'text/html; charset=utf-8',
  '/metrics': 'text/plain; version=0.0.4; charset=utf-8',
  '/status': 'application/json',
  '/livez': 'text/plain; charset=utf-8',
  '/readyz': 'text/plain; charset=utf-8',
};

const BAD_ADMINS = {
  [-1]: 'ERR_OUT_OF_RANGE',
  65536: 'ERR_OUT_OF_RANGE',
  'example.org:9100': 'ERR_INVALID_ARG_VALUE',
  '127.0.0.1': 'ERR_INVALID_ARG_VALUE',
  '127.0.0.1:99999': 'ERR_OUT_OF_RANGE',
  ':9100': 'ERR_INVALID_ARG_VALUE',
  '': 'ERR_INVALID_ARG_VALUE',
};

/** The time that `share` of the times do not exceed. */
function quantile(times, share) {
  return times.toSorted((a, b) => a - b)[Math.ceil(times.length * share) - 1];
}

/** How long each of so many requests took, in ms, one after the other. */
async function timesOf(count, ask) {
  const times = [];
  while (times.length < count) {
    const begun = performance.now();
    await ask();
    times.push(performance.now() - begun);
  }
  return times;
}

/** Connects; a Unix socket whose backlog is full refuses that for a moment. */
async function connected(target) {
  for (;;) {
    const socket = net.connect(target);
    try {
      await once(socket, 'connect');
      return socket.on('error', () => {});
    } catch (error) {
      if (error.code !== 'EAGAIN') throw error;
    }
  }
}

/**
 * What 99 % of so many requests do not exceed, in ms. Another process may keep the processors busy for a while, so
 * the best of a few series counts.
 */
async function p99Of(count, ask, limit) {
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < SERIES && best >= limit; i += 1) {
    best = Math.min(best, quantile(await timesOf(count, ask), 0.99));
  }
  return best;
}

/** Opens a connection, and writes part of a request. */
async function startSlowly(t, target) {
  const socket = await connected(target);
  t.teardown(() => socket.destroy());
  socket.write('GET /status HTTP/1.1\r\nHo');
  return socket;
}

// The built-in module does not supervise.
if (!isBuiltin) {
  test('the admin endpoint shows, and changes nothing', async (t) => {
    const app = await startOperated(t);
    const admin = await adminOf(app);
    t.is(admin.host, '127.0.0.1');
    for (const [url, type] of Object.entries(READABLE)) {
      const { status, headers, body } = await request(admin, url);
      t.is(status, 200, url);
      t.is(headers['content-type'], type);
      t.is(headers['cache-control'], 'no-store');
      t.is(headers['x-content-type-options'], 'nosniff');
      t.true(body.length > 0);
      const head = await request(admin, url, { method: 'HEAD' });
      t.deepEqual([head.status, head.body], [200, '']);
      t.is((await request(admin, `${url}?a=b`)).status, 200);
      t.is((await post(admin, url)).status, 405);
    }
    for (const url of ['/reload', '/stop', '/scale', '/nothing', '/../etc/passwd']) {
      t.is((await post(admin, url)).status, 404, url);
    }
    await app.end();
  });

  test('metrics are OpenMetrics for those who ask for it', async (t) => {
    const app = await startOperated(t);
    const { headers, body } = await request(await adminOf(app), '/metrics', OPEN_METRICS);
    t.is(headers['content-type'], 'application/openmetrics-text; version=1.0.0; charset=utf-8');
    t.is(headers.vary, 'accept');
    t.regex(body, /\n# EOF\n$/);
    await app.end();
  });

  test('a page has no leave to load anything from elsewhere', async (t) => {
    const app = await startOperated(t);
    const { headers, body } = await request(await adminOf(app), '/');
    const policy = headers['content-security-policy'];
    t.regex(policy, /^default-src 'none'; script-src 'sha256-[^']+'; style-src 'sha256-[^']+';/);
    t.false(/unsafe|https?:/.test(policy), policy);
    t.false(/(?:src|href)="(?!data:|#|metrics"|status")/.test(body));
    await app.end();
  });

  test('a local admin endpoint answers requests to this machine only', async (t) => {
    const app = await startOperated(t);
    const admin = await adminOf(app);
    const statusOf = async (host) => (await request(admin, '/livez', { headers: { host } })).status;
    for (const host of ['localhost', 'localhost:1', '127.0.0.1:80', '[::1]:80', 'a.localhost']) {
      t.is(await statusOf(host), 200, host);
    }
    for (const host of ['example.org', 'localhost.example.org', '127.0.0.1.example.org', ' x']) {
      t.is(await statusOf(host), 403, host);
    }
    await app.end();
  });

  test('the admin endpoint may be a path, or another address', async (t) => {
    const app = await startOperated(t, { options: { admin: '0.0.0.0:0' } });
    const { port } = await adminOf(app);
    const headers = { host: 'example.org' };
    t.is((await request({ host: '127.0.0.1', port }, '/readyz', { headers })).status, 200);
    await app.end();
    const socketPath = path.join(app.runtime, 'admin.sock');
    const other = await startSupervised(t, { options: { admin: socketPath, control: false } });
    t.is((await request({ socketPath }, '/readyz')).status, 200);
    t.is((await other.status()).control, null);
    await other.end();
  });

  test('a port in use is an error that names it, and nothing is left', async (t) => {
    const port = await freePort();
    const server = net.createServer().listen(port, '127.0.0.1');
    await once(server, 'listening');
    t.teardown(() => server.close());
    const app = await startSupervised(t, { options: { admin: port }, waits: false, crashes: true });
    const { code, stderr } = await app.exited;
    t.is(code, 1);
    t.regex(stderr, new RegExp(`the admin endpoint can't listen on 127.0.0.1:${port}: EADDRINUSE`));
  });

  test('what is not an address is refused by name', (t) => {
    const { checkAdmin } = require('../../lib/supervisor/operator-sockets');
    for (const [value, code] of Object.entries(BAD_ADMINS)) {
      const given = /^-?\d+$/.test(value) && !value.startsWith('1') ? Number(value) : value;
      t.throws(
        () => checkAdmin('options.admin', given),
        { code, message: /options\.admin/ },
        value,
      );
    }
    t.is(checkAdmin('options.admin', '[::1]:9100'), '[::1]:9100');
    t.is(checkAdmin('options.admin', 'localhost:9100'), '127.0.0.1:9100');
    t.is(checkAdmin('options.admin', '9100'), '127.0.0.1:9100');
    t.throws(() => checkAdmin('options.admin', `/${'a'.repeat(200)}`), {
      code: 'ERR_INVALID_ARG_VALUE',
      message: /at most \d+ bytes/,
    });
  });

  test('readiness says no without a worker that can serve, and while the program stops', async (t) => {
    const app = await startOperated(t, { options: { shutdownDelay: 60_000 } });
    const admin = await adminOf(app);
    const readiness = async () => (await request(admin, '/readyz')).status;
    t.is(await readiness(), 200);
    const pids = await app.pids();
    for (const pid of pids) process.kill(pid, 'SIGSTOP');
    // The engine finds out when they do not take a connection.
    const waiting = pids.map(() => app.ask());
    t.true(await becomesTrue(async () => (await readiness()) === 503, 10_000));
    t.is((await request(admin, '/livez')).status, 200);
    for (const pid of pids) process.kill(pid, 'SIGCONT');
    await Promise.all(waiting);
    t.true(await becomesTrue(async () => (await readiness()) === 200, 10_000));
    const stopping = app.perform('stop');
    t.true(await becomesTrue(async () => (await readiness()) === 503, 10_000));
    t.is((await app.ask()).version, 'one', 'it goes on serving');
    t.is((await request(admin, '/livez')).status, 200);
    app.signal('SIGQUIT');
    await app.exited;
    await stopping.catch(() => {});
  });

  test('operators are answered at once while all JavaScript is stuck', async (t) => {
    const app = await startOperated(t, { options: { hungTimeout: 0 } });
    const admin = await adminOf(app);
    const pids = await app.pids();
    // One for each: a worker that is stuck does not take the second one.
    const stuck = [await app.begin('/wait'), await app.begin('/wait')];
    const isStuck = async () => {
      const { slots } = (await request(admin, '/status')).json();
      return slots.every(({ stalled, open }) => stalled || open > 0);
    };
    t.true(await becomesTrue(isStuck, 10_000));
    const unblock = await blockPrimary(app);
    const targets = [
      [admin, '/metrics'],
      [admin, '/status'],
      [admin, '/readyz'],
      [app.control, '/status'],
    ];
    for (const [target, url] of targets) {
      const limit = ANSWER_LIMIT * slowdown();
      const p99 = await p99Of(REQUESTS / targets.length, () => request(target, url), limit);
      // The workers sleep: this is about the engine, and not about how the kernel shares the processors.
      t.true(p99 < limit, `${url}: ${p99} ms`);
    }
    for (const pid of pids) process.kill(pid, 'SIGKILL');
    await unblock();
    await Promise.all(stuck.map(({ ended }) => ended));
    await app.untilSettled();
    await app.end();
  });

  test('clients that send slowly do not keep others from answers, or connections from workers', async (t) => {
    const app = await startOperated(t);
    const admin = await adminOf(app);
    for (const target of [admin, { ...app.control, path: app.control.socketPath }]) {
      const slow = [];
      while (slow.length < SLOW_CLIENTS) slow.push(await startSlowly(t, target));
      for (let i = 0; i < SCRAPES; i += 1) {
        const [{ status }, { version }] = await Promise.all([
          request(target, '/readyz'),
          app.ask(),
        ]);
        t.is(status, 200);
        t.is(version, 'one');
      }
      const open = slow.filter((socket) => !socket.closed).length;
      t.true(open <= 64, `${open} are open`);
    }
    const { descriptors } = await app.perform('count');
    t.true(descriptors < 250, `${descriptors} descriptors`);
    await app.end();
  });

  test('a client that is silent for too long is sent away, even if it reads nothing', async (t) => {
    const app = await startOperated(t);
    const admin = await adminOf(app);
    const silent = await connect(admin);
    const deaf = await connect(admin);
    deaf.pause();
    deaf.send('/status', { Host: 'localhost' });
    await silent.end();
    deaf.resume();
    await deaf.end();
    t.pass();
    await app.end();
  });

  test('garbage ends its connection, and nothing else', async (t) => {
    const app = await startOperated(t);
    const targets = [await adminOf(app), { path: app.control.socketPath }];
    const garbage = [
      '\0'.repeat(100),
      'GET\r\n\r\n',
      'HELLO / HTTP/9.9\r\n\r\n',
      `GET /${'a'.repeat(LONG_HEAD)} HTTP/1.1\r\nHost: localhost\r\n\r\n`,
      `GET / HTTP/1.1\r\nX: ${'a'.repeat(LONG_HEAD)}\r\n\r\n`,
      `GET / HTTP/1.1\r\n${'a: b\r\n'.repeat(200)}\r\n`,
      'POST /scale HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n',
      'POST /scale HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n',
    ];
    for (const target of targets) {
      for (const text of garbage) {
        const client = await connect(target);
        client.write(text);
        await client.end();
        t.regex(client.received, /^$|^HTTP\/1\.1 4\d\d /, JSON.stringify(text.slice(0, 40)));
      }
    }
    t.is((await request(targets[0], '/readyz')).status, 200);
    t.is((await app.ask()).version, 'one');
    await app.end();
  });

  test('many requests on one connection are answered in order', async (t) => {
    const app = await startOperated(t);
    const client = await connect(await adminOf(app));
    const urls = ['/livez', '/status', '/readyz', '/metrics', '/nothing', '/livez'];
    for (const url of urls) client.send(url, { Host: 'localhost' });
    const statuses = [];
    for (const _ of urls) statuses.push((await client.answer()).status);
    t.deepEqual(statuses, [200, 200, 200, 200, 404, 200]);
    client.destroy();
    await app.end();
  });
}
