'use strict';

const { once } = require('node:events');
const http = require('node:http');
const { serial: test } = require('ava');
const { connectionError, get } = require('../helpers/client');
const { connect } = require('../helpers/http-client');
const { isBuiltin } = require('../helpers/implementation');
const { BROKEN, serves } = require('../helpers/programs');
const { startSupervised } = require('../helpers/supervised');

/** Sends requests on one connection, one after the other, until an answer closes it. */
async function getUntilClosed({ host, port }) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  for (let answered = 0; ; answered += 1) {
    const request = http.get({ host, port, agent });
    try {
      const [response] = await once(request, 'response');
      response.resume();
      await once(response, 'end');
      if (response.headers.connection === 'close') return { answered: answered + 1 };
    } catch (error) {
      return { answered, error };
    }
  }
}

// The built-in module does not supervise.
if (!isBuiltin) {
  test('stop() ends all workers, and the program then ends with 0', async (t) => {
    const app = await startSupervised(t);
    const pids = await app.pids();
    await app.perform('stop');
    t.is(app.events('stopped').length, 1);
    t.deepEqual(
      app
        .seen({ on: 'cluster', event: 'exit' })
        .map(({ pid }) => pid)
        .sort(),
      pids.sort(),
    );
    t.is((await app.perform('state')).state, 'stopped');
    t.is(await connectionError(app.target), 'ECONNREFUSED');
    await app.perform('stop');
    const { code } = await app.finish();
    t.is(code, 0);
  });

  test('a supervisor is disposable', async (t) => {
    const app = await startSupervised(t);
    await app.perform('dispose');
    t.is((await app.perform('state')).state, 'stopped');
    await app.end();
  });

  test('requests that have begun are answered, and idle connections closed', async (t) => {
    const slow = `http.createServer((request, response) => {
      process.send('begun');
      process.once('message', () => response.end('late'));
    }).listen('\\0slow-' + process.argv[2]);`;
    const app = await startSupervised(t, {
      program: serves('one', { ready: slow }),
      options: { workers: 1 },
    });
    const late = http.get({ socketPath: `\0slow-${app.target.port}`, agent: false });
    await app.line({ message: 'begun' });
    const stopped = app.perform('stop');
    const { state } = await app.statusWhen(({ draining }) => draining.length === 1);
    t.is(state, 'stopping');
    await app.perform('tell', 1, 'answer');
    const [response] = await once(late, 'response');
    t.is(response.headers.connection, 'close');
    response.resume();
    await stopped;
    t.deepEqual(app.events('cut'), []);
    await app.end();
  });

  test('a stop right after a reload loses no request of kept connections', async (t) => {
    const app = await startSupervised(t);
    const clients = Array.from({ length: 8 }, () => getUntilClosed(app.target));
    await app.perform('reload');
    await app.perform('stop');
    for (const { answered, error } of await Promise.all(clients)) {
      t.is(error, undefined);
      t.true(answered > 0);
    }
    await app.end();
  });

  test('it goes on serving for shutdownDelay, new connections as well', async (t) => {
    const shutdownDelay = 3_000;
    const app = await startSupervised(t, { options: { shutdownDelay } });
    const client = await connect(app.target);
    t.is((await client.ask('/')).connection, 'keep-alive');
    const begin = Date.now();
    const stopped = app.perform('stop');
    await app.statusWhen(({ state }) => state === 'stopping');
    const answers = [];
    do answers.push((await app.ask()).version, (await client.ask('/')).status);
    while (Date.now() < begin + shutdownDelay - 2_000);
    t.deepEqual(new Set(answers), new Set(['one', 200]));
    t.deepEqual(app.events('draining'), []);
    await app.linesLike({ on: 'supervisor', event: 'draining' }, 2);
    t.true(app.events('draining')[0].at - begin >= shutdownDelay - 50);
    client.destroy();
    await stopped;
    await app.end();
  });

  test('shutdownDelay is 5 s in Kubernetes, if it is not given', async (t) => {
    const app = await startSupervised(t, { env: { KUBERNETES_SERVICE_HOST: '10.0.0.1' } });
    const begin = Date.now();
    app.signal('SIGTERM');
    await app.line({ on: 'supervisor', event: 'draining' });
    t.true(Date.now() - begin >= 4_900);
    const { code } = await app.finish();
    t.is(code, 0);
  });

  test('what is left at the end of the time is cut, and the program ends with 0', async (t) => {
    const app = await startSupervised(t, { options: { workers: 1 } });
    const clients = [1, 2, 3].map(() => get(app.target, { path: '/never' }).catch((e) => e.code));
    await app.linesLike({ message: 'begun' }, 3);
    await app.perform('stop', { timeout: 300 });
    t.like(app.events('cut'), [{ worker: 1, connections: 3 }]);
    t.deepEqual(await Promise.all(clients), Array(3).fill('ECONNRESET'));
    const { code } = await app.finish();
    t.is(code, 0);
  });

  test('a worker that ignores SIGTERM, or spins, does not hold up stop()', async (t) => {
    const app = await startSupervised(t, {
      program: serves('one', { before: "process.on('SIGTERM', () => {});" }),
      options: { killTimeout: 200 },
    });
    // The worker that spins does not take the other one.
    const clients = [await app.begin('/spin'), await app.begin('/never')];
    const begin = Date.now();
    await app.perform('stop', { timeout: 300 });
    t.true(Date.now() - begin >= 500);
    await Promise.all(clients.map(({ ended }) => ended));
    const signals = app.seen({ on: 'cluster', event: 'exit' }).map(({ args }) => args[1]);
    t.deepEqual(signals, ['SIGKILL', 'SIGKILL']);
    const { code } = await app.finish();
    t.is(code, 0);
  });

  test('stop() comes before a reload that runs', async (t) => {
    const app = await startSupervised(t);
    app.deploy(BROKEN['hangs at start'].source);
    const reloaded = t.throwsAsync(app.perform('reload'));
    await app.linesLike({ on: 'cluster', event: 'online' }, 3).catch(() => {});
    await app.perform('stop');
    t.regex((await reloaded).message, /stop/);
    await app.end();
  });

  test('stop() while workers start, or wait for their next start, ends them as well', async (t) => {
    for (const program of [BROKEN['hangs at start'].source, BROKEN['exits at start'].source]) {
      const options = { restartDelay: 15_000 };
      const app = await startSupervised(t, { program, options, waits: false });
      const ready = t.throwsAsync(app.perform('ready'));
      await app.linesLike({ on: 'cluster', event: 'fork' }, 2);
      await app.perform('stop', { timeout: 200 });
      await ready;
      t.deepEqual((await app.perform('workers')).list, []);
      const { code } = await app.finish();
      t.is(code, 0);
    }
  });
}
