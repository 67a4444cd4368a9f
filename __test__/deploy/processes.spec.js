'use strict';

// What containers are made of: process 1 of a namespace, sets of processors, and quotas of control groups.

const { mkdirSync, rmdirSync, writeFileSync } = require('node:fs');
const path = require('node:path');
const { serial: test } = require('ava');
const { ask } = require('../helpers/deploy/daemon');
const { BIN, startMachines } = require('../helpers/deploy/machine');
const { childrenOf, startAsFirst } = require('../helpers/deploy/namespaces');
const { environment } = require('../helpers/fixture');
const { freePort } = require('../helpers/free-port');
const { execPath } = require('../helpers/implementation');
const { temporaryDirectory } = require('../helpers/temporary');
const { findProgram } = require('../../tools/debian-packages');
const countProcessors = require('../../lib/supervisor/processors');

const HOST = '127.0.0.1';
// Each answer leaves a process behind whose parent has exited.
const LEAVES_ORPHANS = `
const { execFileSync } = require('node:child_process');
const http = require('node:http');
http.createServer((_, response) => {
  response.end(execFileSync('sh', ['-c', 'sleep 1 > /dev/null 2>&1 &']));
}).listen(process.env.PORT, '127.0.0.1');
`;
const NEVER_STARTS = 'process.exit(3);';
const IDLE = "require('node:http').createServer().listen(process.env.PORT, process.env.HOST);";
const IS_ROOT = process.getuid() === 0;

function write(t, source) {
  const file = path.join(temporaryDirectory(t), 'server.js');
  writeFileSync(file, source);
  return file;
}

/** Starts `rs-cluster run` as process 1, or under a program that is. */
async function startContainer(t, source, { launcher = [], options = [] } = {}) {
  const [port, admin] = [await freePort(), await freePort()];
  const control = path.join(temporaryDirectory(t), 'control.sock');
  const where = ['--admin', `${HOST}:${admin}`, '--control', control];
  const run = [execPath, BIN, 'run', '-w', '2', ...where, ...options, write(t, source)];
  const first = startAsFirst(t, [...launcher, ...run], {
    env: { ...environment(), PORT: `${port}` },
  });
  const isReady = async () =>
    (await ask({ host: HOST, port: admin, path: '/readyz' })).status === 200;
  return Object.assign(first, { port, ready: () => first.until(isReady, 'it is ready') });
}

const LAUNCHERS = { 'rs-cluster as process 1': [], 'rs-cluster under tini': ['tini', '--'] };

for (const [who, launcher] of Object.entries(LAUNCHERS)) {
  const how = { launcher: launcher.map((word) => findProgram(word) ?? word) };

  test(`${who} reaps what workers leave behind`, async (t) => {
    const container = await startContainer(t, LEAVES_ORPHANS, how);
    await container.ready();
    for (let i = 0; i < 5; i += 1) {
      const { status } = await ask({ host: HOST, port: container.port });
      t.is(status, 200);
    }
    // Process 1 inherits them, unless tini is that.
    const inherited = () =>
      childrenOf(container.first()).filter(({ command }) => command === 'sleep');
    await container.until(() => inherited().length > 0, 'orphans come to process 1');
    await container.until(() => inherited().length === 0, 'orphans are reaped');
    t.deepEqual(await container.stop(), { code: 0, signal: null });
  });

  test(`${who} ends with 1 when the program cannot start`, async (t) => {
    const options = ['--max-restarts', '0', '--restart-delay', '10ms', '--log', 'none'];
    const container = await startContainer(t, NEVER_STARTS, { ...how, options });
    t.deepEqual(await container.exited, { code: 1, signal: null });
  });
}

const runOn = (processors) => [findProgram('taskset'), '-c', processors];

/** How many workers there are when nothing is said, under a launcher. */
async function automatic(t, launcher) {
  const file = write(t, IDLE);
  const env = ({ host, port }) => ({ HOST: host, PORT: `${port}` });
  const [machine] = await startMachines(t, [HOST], { run: () => [file], env, launcher });
  const { workers } = await machine.status();
  t.is((await machine.stop()).code, 0);
  return workers;
}

test('there is a worker for each processor of the set', async (t) => {
  t.is(await automatic(t, []), countProcessors());
  t.is(await automatic(t, runOn('0')), 1);
});

/**
 * A control group with so much processor time, if this machine lets one make it: its directory, of version 2 or 1.
 *
 * @param {number} quota microseconds in each 100,000
 */
function makeGroup(quota) {
  const name = `rs-cluster-${process.pid}`;
  const attempts = [
    ['/sys/fs/cgroup', 'cpu.max', `${quota} 100000`],
    ['/sys/fs/cgroup/unified', 'cpu.max', `${quota} 100000`],
    ['/sys/fs/cgroup/cpu,cpuacct', 'cpu.cfs_quota_us', `${quota}`],
    ['/sys/fs/cgroup/cpu', 'cpu.cfs_quota_us', `${quota}`],
  ];
  for (const [parent, file, text] of attempts) {
    const group = path.join(parent, name);
    try {
      mkdirSync(group);
    } catch {
      continue;
    }
    try {
      writeFileSync(path.join(group, file), text, { flag: 'r+' });
      return group;
    } catch {
      rmdirSync(group); // This hierarchy does not share out processor time.
    }
  }
  return undefined;
}

/** A directory in the place of `/`, for a machine that has no control groups for its users. */
function makeRoot(t, quota) {
  const root = temporaryDirectory(t);
  const files = {
    'proc/self/status': 'Cpus_allowed_list:\t0-7\n',
    'proc/self/cgroup': '0::/a\n',
    'sys/fs/cgroup/a/cpu.max': `${quota} 100000\n`,
  };
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(root, name)), { recursive: true });
    writeFileSync(path.join(root, name), text);
  }
  return root;
}

test('there is a worker for each processor of the quota', async (t) => {
  const group = IS_ROOT ? makeGroup(100_000) : undefined;
  t.log(group ?? 'this machine has no control group for us: a directory plays it');
  if (group === undefined) {
    t.is(countProcessors(makeRoot(t, 150_000)), 2);
    return;
  }
  t.teardown(() => rmdirSync(group));
  const enter = ['sh', '-c', 'echo $$ > "$0"/cgroup.procs && exec "$@"', group];
  t.is(await automatic(t, enter), 1);
});
