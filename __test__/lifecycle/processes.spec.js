'use strict';

// What the primary knows about its workers' processes, and how it starts and watches them if the kernel, or
// a filter of system calls, does not allow the usual way.

const { execFileSync, spawnSync } = require('node:child_process');
const os = require('node:os');
const { serial: test } = require('ava');
const { startApp, statsOf } = require('../helpers/app');
const { get } = require('../helpers/client');
const { canDeny, denying } = require('../helpers/deny');
const { run, start } = require('../helpers/fixture');
const { execPath, isBuiltin } = require('../helpers/implementation');
const { unprivileged } = require('../helpers/privileges');
const { HAS_PROC } = require('../../tools/process-group');

/** Whether all sources agree at every moment on whether a process exists or has ended. */
async function agreesAtEveryMoment(t, options) {
  const { lines, code } = await run(t, 'lifecycle/pid', options);
  t.is(code, 0);
  const ended = new Map(lines.map(({ at, dead }) => [at, dead]));
  t.is(ended.get('busy'), false);
  t.is(ended.get('next tick'), false);
  t.is(ended.get('process exit'), true);
  t.is(ended.get('exit'), true);
  t.is(ended.get('later'), true);
  for (const { at, dead, ...rest } of lines) {
    const expected = dead
      ? { exitCode: null, signalCode: 'SIGKILL', kill: false, exists: 'ESRCH' }
      : { exitCode: null, signalCode: null, kill: true, exists: true };
    t.deepEqual(rest, expected, at);
  }
}

if (HAS_PROC) {
  test('a pid belongs to the worker until JavaScript learns of its exit', agreesAtEveryMoment);
}

if (canDeny) {
  const CLONE_PIDFD = 'clone+1000';
  const denials = [
    ['the kernel gives no pidfd with a process', ['EINVAL', CLONE_PIDFD]],
    ['a filter denies pidfds', ['EPERM', CLONE_PIDFD, 'pidfd_open']],
    ['the kernel has no pidfds', ['ENOSYS', CLONE_PIDFD, 'pidfd_open', 'pidfd_send_signal']],
    ['a filter denies signals by pidfd', ['EPERM', 'pidfd_send_signal']],
  ];
  for (const [name, denial] of denials) {
    test(`a pid belongs to the worker until its exit where ${name}`, async (t) => {
      await agreesAtEveryMoment(t, { launcher: denying(...denial) });
    });
  }
}

const ENDED = { pid: 'undefined', exitCode: -os.constants.errno.ENOENT, workers: [] };
const calls = [
  ['send', ['message'], true, ['ENOENT', 'EPIPE', 'disconnect']],
  ['send', ['message', 'callback'], true, ['ENOENT', 'callback: EPIPE', 'disconnect']],
  ['process.disconnect', [], 'undefined', ['ENOENT', 'disconnect']],
  ['channel.unref', [], 'undefined', ['ENOENT', 'disconnect']],
];
if (!isBuiltin) {
  calls.push(
    // The built-in module emits a second 'error', because its own message can't be sent.
    ['disconnect', [], 'itself', ['ENOENT', 'disconnect']],
    ['cluster.disconnect', ['callback'], 'undefined', null],
    // The built-in module sends the signal to its own process group, because the pid is 0.
    ['kill', [], 'undefined', ['ENOENT', 'disconnect']],
    ['kill', ['SIGKILL'], 'undefined', ['ENOENT', 'disconnect']],
    ['process.kill', [], false, ['ENOENT', 'disconnect']],
  );
}
for (const [call, args, returned, events] of calls) {
  test(`${call}(${args}) on a worker that could not be started does not throw`, async (t) => {
    const { lines, code } = await run(t, 'lifecycle/unstarted-worker', { args: [[call, ...args]] });
    t.is(code, 0);
    t.is(lines[0].returned, returned);
    t.is(lines[0].connected, call !== 'process.disconnect');
    t.like(lines[1], { ...ENDED, state: 'disconnected' });
    if (events === null) {
      t.deepEqual(lines[1].events.sort(), ['ENOENT', 'callback: undefined', 'disconnect']);
    } else {
      t.deepEqual(lines[1].events, events);
    }
  });
}

if (canDeny && !isBuiltin) {
  const refusals = [
    ['EPERM', 'socketpair', 'socketpair'],
    ['ENOMEM', 'clone+4000', 'clone'],
    ['EAGAIN', 'clone+4000', `spawn ${execPath}`],
  ];
  for (const [code, denied, syscall] of refusals) {
    test(`fork() emits 'error' where the system refuses ${denied} by ${code}`, async (t) => {
      const program = start(t, 'lifecycle/fork-on-command', { launcher: denying(code, denied) });
      program.send({});
      t.deepEqual(await program.line({ error: code }), {
        error: code,
        errno: -os.constants.errno[code],
        syscall,
        path: execPath,
        pid: 'undefined',
      });
      await program.end();
    });
  }
}

const hasPrlimit = spawnSync('prlimit', ['--version']).status === 0;
// The limit does not apply to root.
if (hasPrlimit && unprivileged && !isBuiltin) {
  test("fork() emits 'error' where there is no thread for the engine, and works later", async (t) => {
    const program = start(t, 'lifecycle/fork-on-command', { spawn: unprivileged });
    await program.line({ is: 'ready' });
    const limit = (soft) =>
      execFileSync('prlimit', [`--pid=${program.pid}`, `--nproc=${soft}:`], unprivileged);
    limit(1);
    program.send({});
    t.like(await program.line({ error: 'EAGAIN' }), { syscall: 'pthread_create' });
    limit(1000);
    program.send({});
    await program.line({ closed: [null, 'SIGKILL'] });
    await program.end();
  });
}

const memoryless = [];
if (canDeny) {
  memoryless.push(['the kernel has no memfd_create', denying('ENOSYS', 'memfd_create')]);
  memoryless.push(['a filter denies memfd_create', denying('EPERM', 'memfd_create')]);
}
if (hasPrlimit) memoryless.push(['files may have no bytes', ['prlimit', '--fsize=0']]);
const policies = isBuiltin
  ? ['rr', 'none']
  : ['rr', 'none', 'least-connections', 'source-hash', 'reuseport'];

for (const [name, launcher] of memoryless) {
  test(`messages arrive where ${name}`, async (t) => {
    const [{ lines, code }, usual] = await Promise.all([
      run(t, 'messages/json-values', { launcher }),
      run(t, 'messages/json-values'),
    ]);
    t.is(code, 0);
    t.deepEqual(lines, usual.lines);
  });
}
for (const policy of memoryless.length > 0 ? policies : []) {
  const [name, launcher] = memoryless.at(-1);
  test(`workers serve by ${policy} where ${name}`, async (t) => {
    const env = { NODE_CLUSTER_SCHED_POLICY: policy };
    const app = await startApp(t, { workers: 2 }, { launcher, env });
    const answers = [];
    for (let left = 20; left > 0; left -= 1) answers.push(await get(app.target));
    t.is(answers.length, 20);
    const served = new Set(answers.map(({ id }) => id));
    if (policy === 'rr' || policy === 'least-connections') t.is(served.size, 2);
    if (!isBuiltin) {
      const { workers } = await statsOf(app);
      t.deepEqual(
        Object.values(workers).map(({ waiting, open }) => [waiting, open]),
        [
          [0, 0],
          [0, 0],
        ],
      );
    }
    await app.end();
  });
}
