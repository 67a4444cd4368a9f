'use strict';

// The unit that `rs-cluster systemd` prints: checked by systemd's tool, and run by a real systemd.

const { execFileSync, spawnSync } = require('node:child_process');
const { once } = require('node:events');
const { writeFileSync } = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { serial: test } = require('ava');
const { BIN } = require('../helpers/deploy/machine');
const { text } = require('../helpers/client');
const { startUserManager } = require('../helpers/deploy/user-manager');
const { freePort } = require('../helpers/free-port');
const { execPath } = require('../helpers/implementation');
const { temporaryDirectory } = require('../helpers/temporary');
const { ask } = require('../helpers/deploy/daemon');
const { becomesTrue } = require('../../tools/process-group');

const PROGRAM = path.join(__dirname, '../fixtures/deploy/answers.js');
const NAME = 'rs-cluster-test';
const UNIT = `${NAME}.service`;
const HOST = '127.0.0.1';
const LIMIT = 20_000;

function printUnit(...args) {
  const options = ['--name', NAME, ...args];
  return execFileSync(execPath, [BIN, 'systemd', ...options, PROGRAM], { encoding: 'utf8' });
}

/** What systemd's tool complains about. */
function complaints(t, unit) {
  const file = path.join(temporaryDirectory(t), UNIT);
  writeFileSync(file, unit);
  const { stderr } = spawnSync('systemd-analyze', ['verify', file], { encoding: 'utf8' });
  return stderr.split('\n').filter((line) => line.includes(UNIT));
}

test('systemd accepts the unit', (t) => {
  t.deepEqual(complaints(t, printUnit('-w', '2')), []);
  t.deepEqual(complaints(t, printUnit('--user', 'daemon', '--admin', '127.0.0.1:9100')), []);
  const wrong = printUnit('-w', '2').replace('Type=notify', 'Type=notified');
  t.regex(complaints(t, wrong).join('\n'), /notified/);
});

/** Connects, and sends a request; resolves to a function that returns the answer. */
async function begin(port) {
  const socket = net.connect(port, HOST);
  await once(socket, 'connect');
  socket.write('GET / HTTP/1.0\r\n\r\n');
  const answer = text(socket);
  return async () => (await answer).split('\r\n\r\n')[1];
}

const SOCKET = `${NAME}.socket`;

const STOPPED = `
group=/sys/fs/cgroup$(systemctl --user show --value --property ControlGroup "$0")
while grep -L '^State:\tT' $(sed 's|.*|/proc/&/task/*/status|' "$group/cgroup.procs") | grep -q .; do sleep 0.01; done
`;

/** Stops the service's processes; resolves when no thread runs any more. */
async function stopAll(manager) {
  await manager.systemctl('kill', '--kill-who', 'all', '--signal', 'SIGSTOP', UNIT);
  await manager.run('sh', '-c', STOPPED, UNIT);
}

test('systemd keeps the sockets of a primary that is killed, and those of a socket unit', async (t) => {
  t.timeout(240_000);
  const [port, activated] = [await freePort(), await freePort()];
  // systemd has the second of the ports, so the service could not bind it.
  const change = `[Service]\nEnvironment=HOST=${HOST} PORT=${port},${activated}\n`;
  const manager = await startUserManager(t, temporaryDirectory(t), {
    [UNIT]: printUnit('-w', '2', '--min-uptime', '200ms'),
    [`${UNIT}.d/test.conf`]: change,
    [SOCKET]: printUnit('--socket', `${HOST}:${activated}`),
  });
  await manager.systemctl('start', SOCKET);
  // A connection starts the service.
  const first = await begin(activated);
  t.regex(await first(), /^\d+\n$/);
  await manager.until(UNIT, 'ActiveState', 'active');
  t.regex(await (await begin(port))(), /^\d+\n$/);
  // The port, and a queue of each worker.
  await manager.until(UNIT, 'NFileDescriptorStore', '3');

  await stopAll(manager);
  const waiting = await Promise.all([port, activated].map(begin));
  await manager.systemctl('kill', '--kill-who', 'all', '--signal', 'SIGKILL', UNIT);
  for (const answer of waiting) t.regex(await answer(), /^\d+\n$/);
  await manager.until(UNIT, 'NRestarts', '1');
  await manager.until(UNIT, 'ActiveState', 'active');

  await manager.systemctl('stop', SOCKET, UNIT);
  t.is(await manager.property(UNIT, 'Result'), 'success');
  t.is(await manager.property(UNIT, 'NFileDescriptorStore'), '0');
});

/** What this test changes of the unit: a port, and less time for the watchdog. */
const changes = (port) => `[Service]
Environment=HOST=${HOST} PORT=${port}
WatchdogSec=3s
WatchdogSignal=SIGKILL
`;

test('systemd starts the service, reloads it, replaces it when it hangs, and stops it', async (t) => {
  t.timeout(240_000);
  const port = await freePort();
  const manager = await startUserManager(t, temporaryDirectory(t), {
    [UNIT]: printUnit('-w', '2', '--min-uptime', '200ms'),
    [`${UNIT}.d/test.conf`]: changes(port),
  });
  const pid = async () => (await ask({ host: HOST, port })).body;
  const status = () => manager.property(UNIT, 'StatusText');

  await manager.systemctl('start', UNIT); // returns after READY=1
  t.is(await manager.property(UNIT, 'ActiveState'), 'active');
  t.regex(await pid(), /^\d+\n$/);
  t.regex(await status(), /2 .*worker/);

  const main = await manager.property(UNIT, 'MainPID');
  await manager.systemctl('reload', UNIT);
  t.is(await manager.property(UNIT, 'ActiveState'), 'active');
  t.is(await manager.property(UNIT, 'MainPID'), main);
  t.regex(await status(), /generation 2/);

  // A primary that does not run sends no sign of life.
  await manager.systemctl('kill', '--kill-who', 'main', '--signal', 'SIGSTOP', UNIT);
  await manager.until(UNIT, 'NRestarts', '1');
  await manager.until(UNIT, 'ActiveState', 'active');
  t.not(await manager.property(UNIT, 'MainPID'), main);
  t.regex(await pid(), /^\d+\n$/);

  await manager.systemctl('stop', UNIT);
  t.is(await manager.property(UNIT, 'ActiveState'), 'inactive');
  t.is(await manager.property(UNIT, 'Result'), 'success');
  t.is(await manager.property(UNIT, 'ExecMainStatus'), '0');
  t.is((await ask({ host: HOST, port })).status, 0);
});

test('systemd follows upgrades: the new primary is the main process, until it stops', async (t) => {
  t.timeout(240_000);
  const port = await freePort();
  const manager = await startUserManager(t, temporaryDirectory(t), {
    [UNIT]: printUnit('-w', '2', '--min-uptime', '200ms', '--drain-timeout', '2s'),
    [`${UNIT}.d/test.conf`]: changes(port),
  });
  const upgrade = async () => {
    const words = [execPath, BIN, 'upgrade', '--json', '--name', NAME];
    return JSON.parse(await manager.run(...words)).value;
  };
  const hasEnded = async (pid) =>
    (await manager.run('sh', '-c', `kill -0 ${pid} 2>/dev/null || echo gone`)).trim() === 'gone';
  const mainPid = async () => Number(await manager.property(UNIT, 'MainPID'));
  const isMain = async (pid) => {
    t.is(await mainPid(), pid);
    t.is(await manager.property(UNIT, 'ActiveState'), 'active');
    t.regex((await ask({ host: HOST, port })).body, /^\d+\n$/);
  };
  await manager.systemctl('start', UNIT);
  let before = await mainPid();
  for (let generation = 2; generation <= 4; generation += 1) {
    const { pid } = await upgrade();
    t.not(pid, before);
    await isMain(pid);
    await manager.until(UNIT, 'StatusText', `2 workers ready, generation ${generation}`);
    // The old primary ends, and is not missed.
    t.true(await becomesTrue(() => hasEnded(before), LIMIT));
    await isMain(pid);
    before = pid;
  }
  t.is(await manager.property(UNIT, 'NRestarts'), '0');
  // The watchdog looks after the new one.
  await manager.systemctl('kill', '--kill-who', 'main', '--signal', 'SIGSTOP', UNIT);
  await manager.until(UNIT, 'NRestarts', '1');
  await manager.until(UNIT, 'ActiveState', 'active');
  await manager.systemctl('stop', UNIT);
  t.is(await manager.property(UNIT, 'ActiveState'), 'inactive');
  t.is(await manager.property(UNIT, 'Result'), 'success');
  t.is((await ask({ host: HOST, port })).status, 0);
});

test('systemd starts the service again whose main process ends while the old primary drains', async (t) => {
  t.timeout(240_000);
  const port = await freePort();
  const manager = await startUserManager(t, temporaryDirectory(t), {
    [UNIT]: printUnit('-w', '1', '--min-uptime', '200ms', '--drain-timeout', '3s'),
    [`${UNIT}.d/test.conf`]: `${changes(port)}WatchdogSec=0\n`,
  });
  await manager.systemctl('start', UNIT);
  // Half of a head keeps the worker until its time is over.
  const client = net.connect(port, HOST).on('error', () => {});
  t.teardown(() => client.destroy());
  client.write('GET / HTTP/1.1\r\n');
  const words = [execPath, BIN, 'upgrade', '--json', '--name', NAME];
  const { pid } = JSON.parse(await manager.run(...words)).value;
  await manager.run('kill', '-KILL', `${pid}`);
  await manager.until(UNIT, 'NRestarts', '1');
  await manager.until(UNIT, 'ActiveState', 'active');
  t.regex((await ask({ host: HOST, port })).body, /^\d+\n$/);
  await manager.systemctl('stop', UNIT);
});
