'use strict';

// HAProxy and nginx in front of two machines, which are reloaded, and stopped and started one after the other: no
// request fails, although neither the clients nor the proxy send one again.

const path = require('node:path');
const test = require('ava');
const { startBalancer } = require('../helpers/deploy/balancer');
const { startMachines } = require('../helpers/deploy/machine');
const { assertNothingLost, load, logsOf } = require('../helpers/load');
const { answerLimit } = require('../helpers/supervised-traffic');

const PROGRAM = path.join(__dirname, '../fixtures/deploy/traffic.js');
const HOSTS = ['127.0.0.2', '127.0.0.3'];
const TIMES = ['--min-uptime', '200ms', '--shutdown-delay', '4s', '--drain-timeout', '4s'];
const RELOADS = Number(process.env.RELOADS ?? 2);
const STOPS = Number(process.env.STOPS ?? 1);

/** The shapes for which a proxy matters. */
const shapesAt = (address) =>
  [
    { shape: 'connections', count: 4, think: [5, 20] },
    { shape: 'get', count: 8, think: [5, 20] },
    { shape: 'post', count: 16, think: [0, 3] },
    { shape: 'post', name: 'late', count: 16, think: [500, 6_500] },
    { shape: 'upload', count: 4, bytes: 10_000, think: [5, 15] },
    { shape: 'download', count: 4, think: [5, 15] },
  ].map((shape) => ({ address, ...shape }));

async function startApp(t) {
  const logs = logsOf(t);
  const run = () => ['-w', '2', '--min-uptime', '200ms', ...TIMES, PROGRAM];
  const env = ({ host, port }) => ({ HOST: host, PORT: `${port}`, LOG: logs.server });
  const machines = await startMachines(t, HOSTS, { run, env });
  return { machines, logs };
}

/** Waits until the traffic has had so many more answers. */
async function more(traffic, count) {
  const { answered } = await traffic.status();
  while ((await traffic.status()).answered < answered + count);
}

for (const kind of ['haproxy', 'nginx']) {
  test(`no request fails behind ${kind} while machines are reloaded, and stopped and started in turn`, async (t) => {
    t.timeout(240_000);
    const { machines, logs } = await startApp(t);
    const balancer = await startBalancer(t, kind, machines);
    const played = await load(t, shapesAt(balancer.address), {
      logs,
      answerLimitMs: answerLimit(),
      async operate(traffic) {
        for (let i = 0; i < RELOADS; i += 1) {
          for (const machine of machines) await machine.command('reload');
        }
        for (let i = 0; i < STOPS; i += 1) {
          for (const machine of machines) {
            t.deepEqual(await machine.stop(), { code: 0, signal: null });
            await more(traffic, 200);
            await machine.start();
            // Before, there would be no machine left when the other one stops.
            await balancer.untilUp(machine);
            await more(traffic, 2_000);
          }
        }
      },
    });
    assertNothingLost(t, played);
    t.log(`${played.total.requests} requests`);
    for (const machine of machines) t.deepEqual(await machine.stop(), { code: 0, signal: null });
    await balancer.stop();
  });
}
