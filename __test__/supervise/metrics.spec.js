'use strict';

const net = require('node:net');
const { setTimeout } = require('node:timers/promises');
const { serial: test } = require('ava');
const { isBuiltin } = require('../helpers/implementation');
const { parseMetrics, sumOf } = require('../helpers/open-metrics');
const { OPEN_METRICS, adminOf, request, startOperated } = require('../helpers/operator');
const { serves } = require('../helpers/programs');
const { startScraping } = require('../helpers/scraping');

const CLIENTS = 8;
const LONG = 120_000;
const CONNECTIONS = 'rs_cluster_listener_connections';

/** Opens connections, each with one request, from now on. */
function startClients(t, target) {
  const counts = { connected: 0, answered: 0 };
  const controller = new AbortController();
  t.teardown(() => controller.abort());
  const ask = async () => {
    const socket = net.connect({ ...target, noDelay: true });
    socket.on('connect', () => {
      counts.connected += 1;
      socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    });
    socket.on('data', () => {}).on('error', () => {});
    // `once()` would reject when a worker that is killed resets the connection.
    await new Promise((resolve) => socket.on('close', resolve));
    if (socket.bytesRead > 0) counts.answered += 1;
  };
  const client = async () => {
    while (!controller.signal.aborted) await ask();
  };
  const all = Promise.all(Array.from({ length: CLIENTS }, client));
  return {
    counts,
    async stop() {
      controller.abort();
      await all;
    },
  };
}

const scrape = async (admin) => parseMetrics((await request(admin, '/metrics', OPEN_METRICS)).body);

// The built-in module does not supervise.
if (!isBuiltin) {
  for (const policy of ['SCHED_RR', 'SCHED_REUSEPORT']) {
    test(`${policy}: counters never go down, and miss no connection, whatever becomes of workers`, async (t) => {
      t.timeout(LONG);
      const options = { policy, workers: 2, minUptime: 100, restartDelay: 10 };
      const app = await startOperated(t, { options, timeout: LONG });
      const admin = await adminOf(app);
      const scraping = startScraping(t, admin);
      const clients = startClients(t, app.target);
      let kills = 0;
      const kill = async (count) => {
        const pids = (await app.pids()).filter((pid) => pid !== null).slice(0, count);
        for (const pid of pids) process.kill(pid, 'SIGKILL');
        kills += pids.length;
        const isGone = ({ slots }) => !slots.some(({ pid }) => pids.includes(pid));
        await app.statusWhen(isGone);
        await app.untilSettled();
      };
      await app.perform('scale', 8);
      await kill(4);
      await app.perform('scale', 1);
      // All of them: the address is closed, and bound anew.
      await kill(1);
      app.deploy(serves('two'));
      await app.perform('reload');
      await app.perform('scale', 4);
      app.deploy('throw new Error("broken");');
      await t.throwsAsync(app.perform('reload'));
      app.deploy(serves('two'));
      await kill(2);
      await clients.stop();
      await app.untilSettled();
      await scraping.stop();
      t.deepEqual(scraping.found.wrong.slice(0, 5), []);
      t.true(scraping.found.scrapes > 20, `${scraping.found.scrapes}`);
      const { connected, answered } = clients.counts;
      t.true(answered > 100, `${answered}`);

      const families = await scrape(admin);
      const accepted = sumOf(families, `${CONNECTIONS}_accepted_total`);
      // A worker that is killed may have accepted one that it had not counted.
      t.true(accepted <= connected && accepted >= connected - kills, `${accepted} of ${connected}`);
      const served = ['handed_over', 'accepted'].map((name) =>
        sumOf(families, `rs_cluster_slot_connections_${name}_total`),
      );
      t.is(served[0], sumOf(families, `${CONNECTIONS}_handed_over_total`));
      t.is(served[1] > 0, policy === 'SCHED_REUSEPORT');
      t.is(sumOf(families, 'rs_cluster_reloads_total'), 2);
      t.true(sumOf(families, 'rs_cluster_slot_restarts_total') >= kills + 1);
      const { totals } = await app.status();
      t.like(totals, { accepted, reloads: 1, reloadsFailed: 1 });
      t.is(totals.restarts, sumOf(families, 'rs_cluster_slot_restarts_total'));
      await app.end();
    });
  }

  test('the processor time of a slot goes on when its worker is replaced', async (t) => {
    const app = await startOperated(t, { options: { workers: 1 } });
    const admin = await adminOf(app);
    const time = async () => sumOf(await scrape(admin), 'rs_cluster_slot_cpu_seconds_total');
    const first = await time();
    t.true(first > 0.01, `${first}`);
    await app.perform('restart', 0);
    await app.untilSettled();
    // What processes use is read twice a second.
    await setTimeout(600);
    const second = await time();
    t.true(second > first * 1.5, `${first}, then ${second}`);
    const [{ cpu, memory }] = (await app.status()).slots;
    t.true(cpu > 10 && cpu / 1000 < second, `${cpu}`);
    t.true(memory > 20e6, `${memory}`);
    await app.end();
  });

  test('a slot that is gone keeps its counters, and shows nothing else', async (t) => {
    const app = await startOperated(t, { options: { workers: 2 } });
    const admin = await adminOf(app);
    await app.versions(8);
    await app.perform('scale', 1);
    await app.untilSettled();
    const names = [...(await scrape(admin)).values()].flatMap(({ samples }) => [...samples.keys()]);
    const ofSlot = names.filter((name) => name.includes('["slot","1"]'));
    t.true(ofSlot.length >= 8);
    t.deepEqual(
      ofSlot.filter((name) => !name.includes('_total[')),
      [],
    );
    await app.end();
  });

  test('requests of operators are counted by what they ask for', async (t) => {
    const app = await startOperated(t);
    const admin = await adminOf(app);
    for (const url of ['/', '/readyz', '/livez', '/status', '/metrics']) await request(admin, url);
    await request(app.control, '/hold', { method: 'POST' });
    const { samples } = (await scrape(admin)).get('rs_cluster_operator_requests');
    const of = (name) => samples.get(`rs_cluster_operator_requests_total[["endpoint","${name}"]]`);
    t.deepEqual(['page', 'readyz', 'livez', 'hold'].map(of), [1, 1, 1, 1]);
    t.is(of('metrics'), 2);
    await app.end();
  });
}
