'use strict';

const { rmSync } = require('node:fs');
const { setTimeout } = require('node:timers/promises');
const { serial: test } = require('ava');
const { connect } = require('../helpers/http-client');
const { isBuiltin } = require('../helpers/implementation');
const { NAME, adminOf, request, startOperated } = require('../helpers/operator');
const { version } = require('../../package.json');

const typesOf = ({ events }) => events.map(({ type }) => type);

// The built-in module does not supervise.
if (!isBuiltin) {
  test('JavaScript, the control socket and the admin endpoint show the same', async (t) => {
    const app = await startOperated(t);
    await app.versions(4);
    const ofProgram = await app.status();
    const ofControl = (await request(app.control, '/status')).json();
    const ofAdmin = (await request(await adminOf(app), '/status')).json();
    const { pid } = await app.perform('identity');
    for (const status of [ofProgram, ofControl, ofAdmin]) {
      t.deepEqual(Object.keys(status), Object.keys(ofProgram));
      t.like(status, { name: NAME, pid, version, node: process.version, state: 'ready' });
      t.is(status.control, app.control.socketPath);
      t.true(status.ready);
      const totals = status.slots.map(({ total }) => total);
      t.deepEqual(
        totals,
        ofProgram.slots.map(({ total }) => total),
      );
      const taken = totals.map(({ handedOver, rescued }) => handedOver - rescued);
      t.is(taken[0] + taken[1], 4);
      // A worker that waits for a processor may lose its turn to the other.
      if (totals.every(({ rescued }) => rescued === 0)) t.deepEqual(taken, [2, 2]);
      t.true(Math.abs(status.now - Date.now()) < 60_000 && status.started <= status.now);
      t.true(Math.abs(status.now - status.started - status.uptime) < 1_000);
      t.like(status.listeners[0], { address: `127.0.0.1:${app.target.port}`, accepted: 4 });
    }
    await app.end();
  });

  test('events tell what has happened', async (t) => {
    const begun = Date.now();
    const app = await startOperated(t, { options: { restartDelay: 10 } });
    const [{ worker, pid }] = (await app.status()).slots;
    process.kill(pid, 'SIGKILL');
    const status = await app.statusWhen(({ slots, events }) => {
      const isReplaced = slots[0].state === 'ready' && slots[0].pid !== pid;
      return isReplaced && events.at(-1).type === 'replace';
    });
    const isOfEnd = ({ type }) => ['exit', 'backoff', 'replace'].includes(type);
    const [exit, backoff, replace] = status.events.filter(isOfEnd).slice(-3);
    t.like(exit, { type: 'exit', worker, slot: 0, code: null, signal: 'SIGKILL' });
    t.like(backoff, { type: 'backoff', slot: 0, failures: 1 });
    t.like(backoff.failure, { what: 'exited', signal: 'SIGKILL' });
    t.like(replace, { type: 'replace', slot: 0, from: worker, reason: 'crash' });
    t.true(status.events.every(({ time }) => time >= begun - 1 && time <= Date.now() + 1));
    t.deepEqual(
      status.events.map(({ time }) => time),
      status.events.map(({ time }) => time).sort((a, b) => a - b),
    );
    await app.end();
  });

  test('a reload that fails is an event without the stderr of its worker for the public', async (t) => {
    const app = await startOperated(t);
    app.deploy('console.error("my password"); process.exit(3);');
    await t.throwsAsync(app.perform('reload'));
    const of = async (target) => (await request(target, '/status')).json();
    const isFailure = ({ type }) => type === 'rejected';
    const whole = (await of(app.control)).events.find(isFailure);
    t.like(whole, { what: 'exited', phase: 'start', exitCode: 3 });
    t.regex(whole.stderr, /my password/);
    t.false('token' in whole);
    const shown = await of(await adminOf(app));
    t.like(shown.events.find(isFailure), { what: 'exited', phase: 'start', exitCode: 3 });
    t.notRegex(JSON.stringify(shown), /my password/);
    t.like(shown.totals, { reloads: 0, reloadsFailed: 1 });
    // The program is gone, so there is nothing to start.
    rmSync(app.directory, { recursive: true });
    await t.throwsAsync(app.perform('reload'));
    const { totals, events } = await of(app.control);
    t.is(totals.reloadsFailed, 2);
    t.like(events.at(-1), { type: 'rejected', what: 'recipe', phase: 'start' });
    t.regex(events.at(-1).message, /ENOENT/);
    t.false('message' in (await of(await adminOf(app))).events.at(-1));
    await app.end();
  });

  test('a worker that drains says why and since when, and what is cut is counted', async (t) => {
    const options = { workers: 1, drainTimeout: 2_000, killTimeout: 500 };
    const app = await startOperated(t, { options });
    const client = await connect(app.target);
    client.send('/never');
    await app.statusWhen(({ slots }) => slots[0].open === 1);
    const [{ worker, pid }] = (await app.status()).slots;
    await app.perform('restart', 0);
    const { draining } = await app.status();
    t.like(draining, [{ worker, pid, slot: 0, reason: 'restart', open: 1 }]);
    t.true(draining[0].since >= 0 && draining[0].since < 60_000, `${draining[0].since}`);
    t.true(draining[0].memory > 20e6 && draining[0].cpu > 0);
    const { totals, events } = await app.untilSettled();
    t.is(totals.cut, 1);
    t.like(
      events.find(({ type }) => type === 'cut'),
      { worker, connections: 1 },
    );
    client.destroy();
    await app.end();
  });

  test('a worker with a blocked event loop is stalled, though no connection waits for it', async (t) => {
    const app = await startOperated(t, { options: { hungTimeout: 60_000 } });
    const admin = await adminOf(app);
    const readyz = async () => (await request(admin, '/readyz')).body;
    app.ask({ path: '/spin' }).catch(() => {});
    const one = await app.statusWhen(({ slots }) => slots.some(({ stalled }) => stalled));
    t.is(one.slots.filter(({ stalled }) => stalled).length, 1);
    t.true(one.ready);
    t.is(await readyz(), 'ok\n');
    app.ask({ path: '/spin' }).catch(() => {});
    const all = await app.statusWhen(({ slots }) => slots.every(({ stalled }) => stalled));
    t.false(all.ready);
    t.is(await readyz(), 'all workers are stalled\n');
    await app.perform('stop', { timeout: 0 });
    await app.end();
  });

  test('the history shows the rate of each of the last seconds', async (t) => {
    const app = await startOperated(t, { options: { workers: 1 } });
    const begun = performance.now();
    await app.versions(100);
    const isIdle = ({ history: { accepted } }) =>
      accepted.some((count) => count > 10) && accepted.at(-1) === 0;
    const { history, totals } = await app.statusWhen(isIdle);
    const elapsed = (performance.now() - begun) / 1000;
    const { interval, accepted, p50, p99 } = history;
    t.is(interval, 1000);
    t.deepEqual([p50.length, p99.length], [accepted.length, accepted.length]);
    t.true(accepted.length >= elapsed - 2, `${accepted.length} in ${elapsed} s`);
    const sum = accepted.reduce((all, count) => all + count, 0);
    t.is(totals.accepted, 100);
    t.true(sum > 50 && sum < 150, `${accepted}`);
    t.is(accepted.at(-1), 0);
    t.is(p99.at(-1), null);
    const busy = accepted.findIndex((count) => count > 10);
    t.true(p50[busy] >= 0 && p50[busy] <= p99[busy]);
    await app.end();
  });

  test('without looks at event loops the history has means', async (t) => {
    const app = await startOperated(t, { options: { workers: 1, hungTimeout: 0 } });
    await app.status();
    await app.versions(60);
    await setTimeout(2_600);
    const { accepted } = (await app.status()).history;
    t.true(accepted.length >= 3);
    t.is(new Set(accepted.slice(-3)).size, 1, `${accepted}`);
    t.true(accepted.at(-1) > 1);
    await app.end();
  });

  test('a program that is held, and one that stops, say so', async (t) => {
    const app = await startOperated(t, { options: { shutdownDelay: 1_000 } });
    const admin = await adminOf(app);
    await app.perform('hold');
    await app.statusWhen(({ held }) => held);
    const stopped = app.perform('stop');
    await app.statusWhen(({ state }) => state === 'stopping');
    const { body, status } = await request(admin, '/readyz');
    t.deepEqual([status, body], [503, 'stopping\n']);
    t.is((await request(admin, '/livez')).status, 200);
    await stopped;
    t.true(typesOf(await app.status()).includes('exit'));
    t.false((await app.status()).ready);
    await app.end();
  });
}
