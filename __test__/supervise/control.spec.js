'use strict';

const { existsSync, lstatSync, writeFileSync } = require('node:fs');
const path = require('node:path');
const { serial: test } = require('ava');
const { isBuiltin } = require('../helpers/implementation');
const { NAME, blockPrimary, post, request, startOperated } = require('../helpers/operator');
const { BROKEN, brokenSource, serves } = require('../helpers/programs');
const { startSupervised } = require('../helpers/supervised');
const { becomesTrue } = require('../../tools/process-group');

const PERMISSIONS = 0o777;

/** `[method, path, body, status, code]`: what the control socket refuses. */
const REFUSED = [
  ['GET', '/reload', undefined, 405, 'ERR_INVALID_METHOD'],
  ['DELETE', '/status', undefined, 405, 'ERR_INVALID_METHOD'],
  ['POST', '/metrics', undefined, 405, 'ERR_INVALID_METHOD'],
  ['GET', '/', undefined, 404, 'ERR_RS_CLUSTER_NO_SUCH_OPERATION'],
  ['POST', '/nothing', undefined, 404, 'ERR_RS_CLUSTER_NO_SUCH_OPERATION'],
  ['POST', '/reload', 'garbage', 400, 'ERR_INVALID_ARG_VALUE'],
  ['POST', '/reload', '{"env":{}}', 400, 'ERR_INVALID_ARG_VALUE'],
  ['POST', '/scale', undefined, 400, 'ERR_INVALID_ARG_VALUE'],
  ['POST', '/scale', '{"workers":"many"}', 400, 'ERR_INVALID_ARG_VALUE'],
  ['POST', '/scale', '{"workers":"2"}', 400, 'ERR_INVALID_ARG_VALUE'],
  ['POST', '/scale', '{"workers":-1}', 400, 'ERR_INVALID_ARG_VALUE'],
  ['POST', '/scale', '{"workers":0}', 400, 'ERR_OUT_OF_RANGE'],
  ['POST', '/scale', '{"workers":4097}', 400, 'ERR_OUT_OF_RANGE'],
  ['POST', '/scale', '{"workers":"-2"}', 400, 'ERR_OUT_OF_RANGE'],
  ['POST', '/restart', '{"slot":"a"}', 400, 'ERR_INVALID_ARG_VALUE'],
  ['POST', '/restart', '{"slot":99}', 409, 'ERR_RS_CLUSTER_NO_SUCH_WORKER'],
  ['POST', '/stop', '{"timeout":-1}', 400, 'ERR_INVALID_ARG_VALUE'],
  ['POST', '/hold', ' '.repeat(5000), 413, 'ERR_INVALID_ARG_VALUE'],
];

// The built-in module does not supervise.
if (!isBuiltin) {
  test('operators control a program by its control socket', async (t) => {
    const app = await startOperated(t);
    const file = app.control.socketPath;
    t.is(lstatSync(file).mode & PERMISSIONS, 0o600);
    t.is(lstatSync(path.dirname(file)).mode & PERMISSIONS, 0o700);

    app.deploy(serves('two'));
    const reloaded = await post(app.control, '/reload');
    t.is(reloaded.status, 200, reloaded.body);
    t.is(reloaded.headers['content-type'], 'application/json');
    t.is(reloaded.json().value.generation, 2);
    t.deepEqual(new Set(await app.versions()), new Set(['two']));

    t.deepEqual((await post(app.control, '/scale', { workers: 3 })).json(), { value: 3 });
    const scaled = await Promise.all([
      post(app.control, '/scale', { workers: '+1' }),
      post(app.control, '/scale', { workers: '+1' }),
      post(app.control, '/scale', { workers: '-2' }),
    ]);
    t.deepEqual(
      scaled.map(({ body }) => JSON.parse(body).value),
      [4, 5, 3],
    );
    // The program's own calls go on from there.
    t.is(await app.perform('scale', '+1'), 4);
    t.is((await post(app.control, '/scale', { workers: '-3' })).json().value, 1);
    const automatic = await post(app.control, '/scale', { workers: 'auto' });
    t.is(automatic.json().value, (await app.status()).workers);

    const [before] = await app.pids();
    t.deepEqual((await post(app.control, '/restart', { slot: 0 })).json(), { value: null });
    t.not((await app.pids())[0], before);

    t.is((await post(app.control, '/hold')).status, 200);
    t.true((await request(app.control, '/status')).json().held);
    t.is((await post(app.control, '/release', {})).status, 200);
    t.false((await app.status()).held);

    t.deepEqual((await post(app.control, '/stop', { timeout: 5_000 })).json(), { value: null });
    t.is((await app.exited).code, 0);
    t.false(existsSync(file));
  });

  test('a reload that fails tells operators why, and all goes on', async (t) => {
    const app = await startOperated(t);
    const pids = await app.pids();
    const broken = BROKEN['exits at start'];
    app.deploy(brokenSource(broken));
    const { status, body } = await post(app.control, '/reload');
    t.is(status, 409);
    const { error } = JSON.parse(body);
    t.is(error.code, 'ERR_RS_CLUSTER_WORKER_EXITED');
    t.is(error.exitCode, broken.exitCode);
    t.regex(error.stderr, /no database/);
    t.true(broken.phases.includes(error.phase), error.phase);
    t.false(error.message.includes('no database'), error.message);
    // The engine words what it does itself.
    const restarted = (await post(app.control, '/restart', { slot: 0 })).json();
    t.like(restarted.error, { code: error.code, exitCode: broken.exitCode, phase: error.phase });
    t.regex(restarted.error.message, /^worker \d+ \(slot 0\) exited with code 3/);
    t.deepEqual(await app.pids(), pids);
    app.deploy(serves('one'));
    await app.end();
  });

  test('what an operator gets wrong is refused, and changes nothing', async (t) => {
    const app = await startOperated(t);
    const pids = await app.pids();
    for (const [method, url, body, status, code] of REFUSED) {
      const answer = await request(app.control, url, { method, body });
      t.is(answer.status, status, `${method} ${url} ${body}: ${answer.body}`);
      t.is(answer.json().error.code, code);
      t.is(typeof answer.json().error.message, 'string');
    }
    t.deepEqual(await app.pids(), pids);
    t.false((await app.status()).held);
    await app.end();
  });

  test('with maxSurge: 0 the last but one worker stays', async (t) => {
    const app = await startOperated(t, { options: { maxSurge: 0 } });
    const refused = await post(app.control, '/scale', { workers: 1 });
    t.is(refused.status, 400);
    t.regex(refused.json().error.message, /more than 1 with maxSurge: 0/);
    await app.end();
  });

  test('operators control a program whose primary is blocked', async (t) => {
    const app = await startOperated(t);
    const unblock = await blockPrimary(app);
    t.is((await post(app.control, '/scale', { workers: 3 })).json().value, 3);
    const { slots } = (await request(app.control, '/status')).json();
    t.is(slots.length, 3);
    t.is((await post(app.control, '/restart', { slot: 1 })).status, 200);
    const restarted = (await request(app.control, '/status')).json().slots;
    t.not(restarted[1].pid, slots[1].pid);
    t.is((await post(app.control, '/hold')).status, 200);
    t.is((await post(app.control, '/release')).status, 200);
    const refused = await post(app.control, '/reload');
    t.is(refused.status, 503);
    t.is(refused.json().error.code, 'ERR_RS_CLUSTER_PRIMARY_BLOCKED');
    await unblock();
    // What was refused is not done later.
    t.is((await app.perform('state')).generation, 1);
    t.is((await app.untilSettled()).generation, 1);
    await app.end();
  });

  test('operators stop a program whose primary is blocked', async (t) => {
    const app = await startOperated(t, { options: { killTimeout: 100 } });
    const unblock = await blockPrimary(app);
    t.is((await post(app.control, '/stop')).status, 200);
    t.is(app.seen({ on: 'cluster', event: 'exit' }).length, 0, 'no JavaScript has run');
    await unblock();
    t.is((await app.exited).code, 0);
  });

  test('a client that goes away while it waits changes nothing', async (t) => {
    const app = await startOperated(t, { options: { minUptime: 2_000 } });
    app.deploy(serves('two'));
    const client = new AbortController();
    const asked = request(app.control, '/reload', { method: 'POST', signal: client.signal });
    await app.linesLike({ on: 'cluster', event: 'fork' }, 3);
    client.abort();
    t.is((await t.throwsAsync(asked)).name, 'AbortError');
    await app.line({ on: 'supervisor', event: 'reload' });
    t.deepEqual(new Set(await app.versions()), new Set(['two']));
    await app.end();
  });

  test('a name belongs to one living primary', async (t) => {
    const first = await startOperated(t);
    const second = await startSupervised(t, {
      options: { name: NAME },
      env: { XDG_RUNTIME_DIR: first.runtime },
      waits: false,
      crashes: true,
    });
    const { code, stderr } = await second.exited;
    t.is(code, 1);
    t.regex(stderr, /ERR_RS_CLUSTER_CONTROL_IN_USE/);
    t.regex(stderr, new RegExp(`another primary \\(pid ${first.pid}\\)`));
    t.is((await request(first.control, '/readyz')).status, 200);
    await first.end();
  });

  test('programs that are not given a name may have the same', async (t) => {
    const first = await startOperated(t, { options: { name: undefined } });
    const env = { XDG_RUNTIME_DIR: first.runtime };
    const second = await startSupervised(t, { env });
    const sockets = [first, second].map(async (app) => path.basename((await app.status()).control));
    t.deepEqual(await Promise.all(sockets), ['server.sock', 'server-2.sock']);
    await Promise.all([first.end(), second.end()]);
  });

  test('the socket of a primary that was killed is replaced', async (t) => {
    const killed = await startOperated(t, { crashes: true });
    const workers = await killed.pids();
    killed.signal('SIGKILL');
    await killed.exited.catch(() => {});
    t.true(existsSync(killed.control.socketPath), `its workers were ${workers}`);
    const env = { XDG_RUNTIME_DIR: killed.runtime };
    const next = await startSupervised(t, { options: { name: NAME }, env });
    t.is((await request(killed.control, '/status')).json().pid, next.pid);
    await next.end();
    t.false(existsSync(killed.control.socketPath));
  });

  test('what is not a socket stays where it is', async (t) => {
    const first = await startOperated(t);
    const control = path.join(first.runtime, 'precious');
    writeFileSync(control, 'precious');
    const options = { control };
    const second = await startSupervised(t, { options, waits: false, crashes: true });
    const { code, stderr } = await second.exited;
    t.is(code, 1);
    t.regex(stderr, /ERR_RS_CLUSTER_CONTROL\b.*precious is not a socket/);
    await first.end();
  });

  test('a program runs without a control socket where none can be had, and warns', async (t) => {
    const app = await startSupervised(t, {
      env: { XDG_RUNTIME_DIR: '/proc/none', TMPDIR: '/proc/none', RUNTIME_DIRECTORY: '' },
      warns: true,
    });
    t.is((await app.status()).control, null);
    await app.end();
    t.regex(app.stderr, /ERR_RS_CLUSTER_CONTROL.*there is no control socket/);
  });

  test('no socket is left when SIGQUIT ends a primary', async (t) => {
    const app = await startOperated(t);
    app.signal('SIGQUIT');
    t.is((await app.exited).signal, 'SIGQUIT');
    t.true(await becomesTrue(() => !existsSync(app.control.socketPath), 1_000));
  });
}
