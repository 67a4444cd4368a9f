'use strict';

const { execFileSync, spawnSync } = require('node:child_process');
const { chmodSync, readFileSync, readlinkSync } = require('node:fs');
const { errno } = require('node:os').constants;
const path = require('node:path');
const { serial: test } = require('ava');
const { run } = require('../helpers/fixture');
const { isBuiltin } = require('../helpers/implementation');
const { unprivileged } = require('../helpers/privileges');
const { serves } = require('../helpers/programs');
const { startSupervised, untilGone } = require('../helpers/supervised');
const { temporaryDirectory } = require('../helpers/temporary');
const { HAS_PROC, isAlive } = require('../../tools/process-group');

const fewDescriptors = ['sh', '-c', 'ulimit -n 128 && exec "$@"', 'sh'];
const hasPrlimit = spawnSync('prlimit', ['--version']).status === 0;

/** The group of a process. */
function groupOf(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[2]);
}

/** Starts a child in its own group, and tells its pid. */
const WITH_CHILD = serves('one', {
  ready: `
  const child = require('node:child_process').spawn('sleep', ['1000'], { stdio: 'ignore' });
  child.unref();
  process.send(child.pid);`,
});

// The built-in module does not supervise.
if (!isBuiltin && HAS_PROC) {
  test('a supervised worker leads a process group, and its stdin is /dev/null', async (t) => {
    const app = await startSupervised(t);
    for (const pid of await app.pids()) {
      t.is(groupOf(pid), pid);
      t.is(readlinkSync(`/proc/${pid}/fd/0`), '/dev/null');
    }
    await app.end();
  });

  test('a file that is given for the output of workers stays that, although the primary closes it', async (t) => {
    const [given, other] = ['given', 'other'].map((name) => path.join(temporaryDirectory(t), name));
    const { lines, code } = await run(t, 'supervise/closed-descriptor', { args: [given, other] });
    t.is(code, 0);
    t.deepEqual(lines, [{ isReused: true, isHeld: false }]);
    t.is(readFileSync(given, 'utf8'), 'worker 1\nworker 2\nworker 3\n');
    t.is(readFileSync(other, 'utf8'), '');
  });

  test('what a worker leaves behind ends with it', async (t) => {
    const app = await startSupervised(t, { program: WITH_CHILD, options: { workers: 1 } });
    const { message: child } = await app.line({ from: 1 });
    t.true(isAlive(child));
    process.kill((await app.pids())[0], 'SIGKILL');
    await untilGone(child);
    const { message: next } = await app.line({ from: 2 });
    await app.untilSettled();
    await app.perform('restart', 0);
    await untilGone(next);
    const { message: last } = await app.line({ from: 3 });
    await app.end();
    t.false(isAlive(last));
  });

  test('workers are gone soon after their primary is killed', async (t) => {
    const app = await startSupervised(t);
    const pids = await app.pids();
    app.signal('SIGKILL');
    await app.exited;
    t.false(pids.some(isAlive));
  });

  test('workers that start or drain are gone soon after their primary is killed', async (t) => {
    for (const event of ['fork', 'online', 'listening']) {
      const app = await startSupervised(t, { options: { minUptime: 0 } });
      const unanswered = app.ask({ path: '/never' }).catch(({ code }) => code);
      await app.line({ message: 'begun' });
      app.send({ token: 0, do: 'reload' });
      await app.linesLike({ on: 'cluster', event }, 4);
      app.signal('SIGKILL');
      t.is((await app.exited).signal, 'SIGKILL');
      await unanswered;
    }
  });

  test('reloads, crashes and failures leave no descriptor, and no process', async (t) => {
    const app = await startSupervised(t, { options: { minUptime: 20, restartDelay: 10 } });
    const churn = async () => {
      await app.perform('reload');
      await app.perform('scale', 4);
      process.kill((await app.pids())[3], 'SIGKILL');
      await app.perform('scale', 2);
      app.deploy('process.exit(1);');
      await t.throwsAsync(app.perform('reload'));
      app.deploy(serves('one'));
      await app.untilSettled();
    };
    await churn();
    const before = await app.descriptorsWhenReaped();
    for (let i = 0; i < 3; i += 1) await churn();
    t.is(await app.descriptorsWhenReaped(), before);
    await app.end();
  });

  test('a worker that cannot be started for lack of descriptors is started when there are some', async (t) => {
    const app = await startSupervised(t, { launcher: fewDescriptors, warns: true });
    const [pid] = await app.pids();
    await app.perform('exhaust');
    const error = await t.throwsAsync(app.perform('reload'));
    t.like(error, { phase: 'start', errno: -errno.EMFILE });
    process.kill(pid, 'SIGKILL');
    const [first, second] = await app.linesLike({ on: 'supervisor', event: 'backoff', slot: 0 }, 3);
    t.deepEqual([first.failures, second.failures], [1, 2]);
    await app.perform('refill');
    const { slots } = await app.untilSettled();
    t.not(slots[0].pid, pid);
    await app.perform('reload');
    await app.end();
  });

  // The limit on processes does not apply to root.
  if (hasPrlimit && unprivileged) {
    test('a worker that cannot be started for lack of processes is started when there are some', async (t) => {
      const directory = temporaryDirectory(t);
      chmodSync(directory, 0o755);
      const app = await startSupervised(t, { directory, spawn: unprivileged, warns: true });
      const limit = (soft) =>
        execFileSync('prlimit', [`--pid=${app.pid}`, `--nproc=${soft}:`], unprivileged);
      const [pid] = await app.pids();
      limit(1);
      const error = await t.throwsAsync(app.perform('reload'));
      t.like(error, { phase: 'start', errno: -errno.EAGAIN });
      process.kill(pid, 'SIGKILL');
      await app.linesLike({ on: 'supervisor', event: 'backoff', slot: 0 }, 2);
      limit(1_000);
      await app.untilSettled();
      await app.end();
    });
  }
}
