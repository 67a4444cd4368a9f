'use strict';

const { execFileSync, spawnSync } = require('node:child_process');
const os = require('node:os');
const path = require('node:path');
const { serial: test } = require('ava');
const { startApp } = require('../helpers/app');
const { get } = require('../helpers/client');
const { run, start } = require('../helpers/fixture');
const { execPath, isBuiltin } = require('../helpers/implementation');
const { unprivileged } = require('../helpers/privileges');
const { HAS_PROC } = require('../../tools/process-group');
const { temporaryDirectory } = require('../helpers/temporary');

const { errno } = os.constants;
const spawnError = (code) => ({ code, errno: -errno[code], syscall: `spawn ${execPath}` });

const fewDescriptors = ['sh', '-c', 'ulimit -n 64 && exec "$@"', 'sh'];

if (HAS_PROC) {
  test("fork emits 'error' with too few descriptors left, and works again later", async (t) => {
    const { lines, code } = await run(t, 'faults/fork-without-descriptors', {
      launcher: fewDescriptors,
    });
    t.is(code, 0);
    const good = { args: [0, null] };
    const bad = { ...spawnError('EMFILE'), pid: 'undefined' };
    const works = lines.findIndex(({ outcome }) => 'args' in outcome);
    t.true(works > 0);
    for (const [left, { outcome, again }] of lines.entries()) {
      t.deepEqual(outcome, left < works ? bad : good, `${left} left`);
      t.deepEqual(again, good, `after ${left} left`);
    }
    // If the built-in module can open the channel but cannot spawn, it leaks one end of the channel.
    if (isBuiltin) return;
    t.deepEqual(
      lines.filter(({ leaked }) => leaked !== 0),
      [],
    );
  });
}

if (HAS_PROC) {
  test("a first fork emits 'error' with too few descriptors left, and one works later", async (t) => {
    const outcomes = [];
    for (let left = 1; left <= 20; left += 1) {
      const { lines, code } = await run(t, 'faults/first-fork-without-descriptors', {
        launcher: fewDescriptors,
        args: [left],
      });
      t.is(code, 0);
      t.like(lines, [{ again: { args: [0, null] } }], `${left} left`);
      outcomes.push(lines[0].outcome);
    }
    const works = outcomes.findIndex((outcome) => 'args' in outcome);
    t.true(works > 0);
    t.true(outcomes.slice(0, works).every(({ code }) => code === 'EMFILE'));
    for (const outcome of outcomes.slice(works)) t.deepEqual(outcome, { args: [0, null] });
  });
}

// With the built-in module, libuv closes connections for which there is no descriptor.
if (HAS_PROC && !isBuiltin) {
  test('connections wait while there is no descriptor for them, with a warning', async (t) => {
    const app = start(t, 'faults/accept-without-descriptors', {
      launcher: fewDescriptors,
      warns: true,
    });
    const { port } = await app.line({});
    const target = { port, host: '127.0.0.1' };
    for (const round of [1, 2]) {
      app.send({ do: 'exhaust' });
      await app.linesLike({ did: 'exhaust' }, round);
      const answers = [get(target), get(target)];
      const warning = await app.line({ warning: 'ConnectionsWaitWarning' });
      t.like(warning, {
        code: 'EMFILE',
        message: `connections to 127.0.0.1:${port} wait until they can be accepted: too many open files`,
      });
      app.send({ do: 'release' });
      t.deepEqual(await Promise.all(answers), [{ id: 1 }, { id: 1 }]);
    }
    t.is(app.seen({ warning: 'ConnectionsWaitWarning' }).length, 1, 'not for a minute');
    await app.end();
  });
}

if (HAS_PROC && !isBuiltin) {
  test('clients are served however often a primary without descriptors opens files', async (t) => {
    const app = start(t, 'faults/accept-without-descriptors', {
      launcher: fewDescriptors,
      warns: true,
    });
    const { port } = await app.line({});
    for (let round = 1; round <= 5; round += 1) {
      app.send({ do: 'exhaust' });
      await app.linesLike({ did: 'exhaust' }, round);
      t.deepEqual(await get({ port, host: '127.0.0.1' }), { id: 1 });
    }
    app.send({ do: 'release' });
    await app.line({ did: 'release' });
    await app.end();
  });
}

if (HAS_PROC && !isBuiltin) {
  test('a path that could not be bound for lack of descriptors is free', async (t) => {
    const socketPath = path.join(temporaryDirectory(t), 'socket');
    const options = { args: [socketPath], launcher: fewDescriptors };
    const { lines } = await run(t, 'faults/listen-without-descriptors', options);
    const works = lines.findIndex(({ outcome }) => outcome === 'served');
    t.true(works > 0);
    for (const [left, { outcome, remains }] of lines.entries()) {
      t.deepEqual([outcome, remains], [left < works ? 'EMFILE' : 'served', false], `${left} left`);
    }
  });
}

const hasPrlimit = spawnSync('prlimit', ['--version']).status === 0;
// The limit on processes does not apply to root.
if (hasPrlimit && unprivileged) {
  test("fork emits 'error' with no processes left, and works again later", async (t) => {
    const app = await startApp(t, { workers: 1, listen: [] }, { spawn: unprivileged });
    const limit = (soft) =>
      execFileSync('prlimit', [`--pid=${app.pid}`, `--nproc=${soft}:`], unprivileged);
    app.send({ do: 'count' });
    const before = await app.line({ did: 'count' });

    limit(1);
    app.send({ do: 'fork' });
    const { args, pid } = await app.line({ on: 'worker', event: 'error', id: 2 });
    t.like(args[0], spawnError('EAGAIN'));
    t.is(pid, 'undefined');

    limit(1000);
    app.send({ do: 'fork' });
    await app.line({ on: 'cluster', event: 'online', id: 3 });
    app.send({ do: 'signal', id: 3, signal: 'SIGKILL' });
    await app.line({ on: 'process', event: 'close', id: 3 });
    app.send({ do: 'count' });
    const [, after] = await app.linesLike({ did: 'count' }, 2);
    t.is(after.descriptors, before.descriptors);
    await app.end();
  });
}
