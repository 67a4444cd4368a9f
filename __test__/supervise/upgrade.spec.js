'use strict';

// What a program sees of `supervisor.upgrade()`.

const {
  chmodSync,
  mkdirSync,
  readdirSync,
  realpathSync,
  symlinkSync,
  renameSync,
  rmSync,
  writeFileSync,
} = require('node:fs');
const path = require('node:path');
const { serial: test } = require('ava');
const { fixturePath } = require('../helpers/fixture');
const { isBuiltin } = require('../helpers/implementation');
const { MIN_UPTIME, serves } = require('../helpers/programs');
const { PROGRAM, startSupervised, untilGone } = require('../helpers/supervised');
const { temporaryDirectory } = require('../helpers/temporary');
const { isAlive } = require('../../tools/process-group');

const APP = fixturePath('supervise/app');

/** The command line of a primary like this one, with other options. */
const like = (app, options) => [APP, JSON.stringify({ ...app.options, ...options })];

async function startApp(t, { options, ...how } = {}) {
  const directory = temporaryDirectory(t);
  const given = { exec: PROGRAM, workers: 2, minUptime: MIN_UPTIME, directory, ...options };
  const app = await startSupervised(t, { options: given, directory, ...how });
  app.options = { ...given, args: [`${app.target.port}`] };
  return app;
}

/** Waits until the workers of the old primary are gone, stops the new one, and checks that everything ends. */
async function endUpgraded(t, app, pid, pids) {
  for (const old of pids) await untilGone(old);
  process.kill(pid, 'SIGTERM');
  await untilGone(pid);
  t.like(await app.exited, { code: 0, signal: null });
}

/** The error of an upgrade that fails, after which everything is as before. */
async function failsToUpgrade(t, app, options = {}) {
  const pids = await app.pids();
  const error = await t.throwsAsync(app.perform('upgrade', options));
  t.deepEqual(await app.pids(), pids);
  t.is((await app.perform('state')).state, 'ready');
  t.is((await app.ask()).version, 'one');
  return error;
}

// The built-in module does not supervise.
if (!isBuiltin) {
  test('another primary takes over, and the promise, the event and the log say so', async (t) => {
    const app = await startApp(t, { options: { log: 'json' } });
    const { node } = await app.status();
    const pids = await app.pids();
    const result = await app.perform('upgrade');
    const { pid, generation, ms } = result;
    t.is(generation, 2);
    t.true(pid !== app.pid && isAlive(pid));
    t.true(ms >= MIN_UPTIME);
    t.like(await app.line({ on: 'supervisor', event: 'upgrade' }), { primary: app.pid, ...result });
    await app.line({ serves: pid, generation: 2 });
    t.false(pids.includes((await app.ask()).pid));
    t.is((await t.throwsAsync(app.perform('reload'))).code, 'ERR_RS_CLUSTER_UPGRADED');
    t.is((await t.throwsAsync(app.perform('upgrade'))).code, 'ERR_RS_CLUSTER_UPGRADED');
    await endUpgraded(t, app, pid, pids);
    const log = app.stderr
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map(JSON.parse);
    const entry = (event) => log.find((it) => it.event === event);
    t.like(entry('upgrade'), { level: 'info', ...result });
    t.like(entry('takeover'), { level: 'info', pid: app.pid, node });
    t.true(log.some(({ event, state }) => event === 'state' && state === 'upgrading'));
    t.is(app.events('upgrade').length, 1);
  });

  test('the variable of an upgrade is gone when the package has been loaded', async (t) => {
    const app = await startApp(t);
    const pids = await app.pids();
    const { pid } = await app.perform('upgrade');
    t.like(await app.line({ primary: pid }), { isSuccessor: true, isToldOfIt: false });
    t.false('RS_CLUSTER_UPGRADE' in (await app.ask()).env);
    await endUpgraded(t, app, pid, pids);
  });

  test('the new primary has other arguments and variables where upgrade() says so', async (t) => {
    const app = await startApp(t, { env: { KEPT: '1', REMOVED: '1' } });
    const pids = await app.pids();
    const { control } = await app.status();
    const args = like(app, { workers: 3, name: 'another', maxSurge: 2 });
    const { pid } = await app.perform('upgrade', {
      args,
      env: { ADDED: '1' },
      execArgv: ['--title=upgraded'],
      execPath: process.execPath,
    });
    await app.line({ serves: pid });
    const { env } = await app.ask();
    t.like(env, { KEPT: '1', ADDED: '1' });
    const folder = path.dirname(control);
    t.deepEqual(readdirSync(folder), ['another.sock']);
    await endUpgraded(t, app, pid, pids);
    t.deepEqual(readdirSync(folder), []);
  });

  test('the program of the release runs that the link leads to', async (t) => {
    const base = temporaryDirectory(t);
    const current = path.join(base, 'current');
    const release = (version) => {
      const place = path.join(base, version);
      mkdirSync(place);
      writeFileSync(path.join(place, PROGRAM), serves(version));
      symlinkSync(place, `${current}.new`);
      renameSync(`${current}.new`, current);
    };
    release('one');
    const app = await startSupervised(t, {
      directory: realpathSync(current),
      options: { directory: undefined, minUptime: MIN_UPTIME },
      spawn: { cwd: current },
      env: { PWD: current },
    });
    const pids = await app.pids();
    release('two');
    rmSync(path.join(base, 'one'), { recursive: true });
    const { pid } = await app.perform('upgrade');
    await app.line({ serves: pid });
    const { version, env } = await app.ask();
    t.deepEqual([version, env.PWD], ['two', current]);
    await endUpgraded(t, app, pid, pids);
  });

  test('Node is the one that the command finds then', async (t) => {
    const bin = temporaryDirectory(t);
    const node = path.join(bin, 'node');
    symlinkSync(process.execPath, node);
    const app = await startApp(t, {
      launcher: ['sh', '-c', 'shift; exec node "$@"', 'sh'],
      env: { PATH: `${bin}:${process.env.PATH}` },
    });
    const pids = await app.pids();
    // Another Node, which can be told from the first one.
    const script = `#!/bin/sh\nWRAPPED=1 exec '${process.execPath}' "$@"\n`;
    writeFileSync(`${node}.new`, script, { mode: 0o755 });
    renameSync(`${node}.new`, node);
    const { pid } = await app.perform('upgrade');
    await app.line({ serves: pid });
    t.is((await app.ask()).env.WRAPPED, '1');
    await endUpgraded(t, app, pid, pids);
  });

  test('bad options are errors that name them', async (t) => {
    const app = await startApp(t);
    const cases = [
      [{ node: '/usr/bin/node' }, 'ERR_INVALID_ARG_VALUE', 'options.node'],
      [{ directory: 7 }, 'ERR_INVALID_ARG_TYPE', 'options.directory'],
      [{ directory: '' }, 'ERR_INVALID_ARG_VALUE', 'options.directory'],
      [{ execPath: 'a\0b' }, 'ERR_INVALID_ARG_VALUE', 'options.execPath'],
      [{ execArgv: '--inspect' }, 'ERR_INVALID_ARG_TYPE', 'options.execArgv'],
      [{ execArgv: ['a\0b'] }, 'ERR_INVALID_ARG_VALUE', 'options.execArgv[0]'],
      [{ args: [] }, 'ERR_INVALID_ARG_VALUE', 'options.args'],
      [{ args: ['app.js', 7] }, 'ERR_INVALID_ARG_TYPE', 'options.args[1]'],
      [{ env: 'A=1' }, 'ERR_INVALID_ARG_TYPE', 'options.env'],
      [{ timeout: 0 }, 'ERR_OUT_OF_RANGE', 'options.timeout'],
      [7, 'ERR_INVALID_ARG_TYPE', 'options'],
    ];
    for (const [options, code, name] of cases) {
      const error = await failsToUpgrade(t, app, options);
      t.is(error.code, code, name);
      t.true(error.message.includes(`"${name}"`), error.message);
    }
    await app.end();
  });

  test('where there is nothing to start, upgrade() says what is missing, and nothing is started', async (t) => {
    const folder = temporaryDirectory(t);
    const file = path.join(folder, 'plain.js');
    writeFileSync(file, '');
    const app = await startApp(t);
    const cases = [
      [{ directory: path.join(folder, 'gone') }, 'ENOENT', /gone/],
      [{ directory: file }, 'ENOTDIR', /plain\.js/],
      [{ execPath: path.join(folder, 'node') }, 'ENOENT', /node/],
      [{ execPath: 'no-such-node' }, 'ENOENT', /no-such-node/],
      [{ execPath: file }, 'EACCES', /plain\.js/],
      [{ execPath: folder }, 'EACCES', /not a file/],
      [{ args: [path.join(folder, 'gone.js')] }, 'ENOENT', /gone\.js/],
    ];
    for (const [options, code, text] of cases) {
      const error = await failsToUpgrade(t, app, options);
      t.like(error, { code: 'ERR_RS_CLUSTER_UPGRADE_FAILED', phase: 'start' });
      t.is(error.cause.code, code);
      t.regex(error.message, text);
    }
    t.is(app.seen({ isSuccessor: true }).length, 0);
    await app.end();
  });

  for (const [breaks, facts, text] of [
    ['exit', { phase: 'handshake', exitCode: 3 }, /exited with code 3/],
    ['signal', { phase: 'handshake', signal: 'SIGKILL' }, /signal SIGKILL/],
    ['throw', { phase: 'handshake', reason: 'no settings' }, /no settings/],
    ['reject', { phase: 'ready', reason: 'no promise' }, /no promise/],
    ['hang', { phase: 'handshake' }, /within the timeout/],
  ]) {
    test(`a new primary that ends too early fails the upgrade: ${breaks}`, async (t) => {
      const app = await startApp(t);
      const timeout = breaks === 'hang' ? 1_000 : 20_000;
      const error = await failsToUpgrade(t, app, { args: like(app, { breaks }), timeout });
      t.like(error, { code: 'ERR_RS_CLUSTER_UPGRADE_FAILED', ...facts });
      t.regex(error.message, text);
      await app.end();
    });
  }

  test('a program that is not Node fails the upgrade with its exit code', async (t) => {
    const script = path.join(temporaryDirectory(t), 'node');
    writeFileSync(script, '#!/bin/sh\nexit 5\n');
    chmodSync(script, 0o755);
    const app = await startApp(t);
    const error = await failsToUpgrade(t, app, { execPath: script });
    t.like(error, { code: 'ERR_RS_CLUSTER_UPGRADE_FAILED', phase: 'handshake', exitCode: 5 });
    await app.end();
  });

  test('options that supervise() refuses are the reason that upgrade() gives', async (t) => {
    const app = await startApp(t);
    const error = await failsToUpgrade(t, app, { args: like(app, { workers: -1 }) });
    t.like(error, { code: 'ERR_RS_CLUSTER_UPGRADE_FAILED', phase: 'handshake' });
    t.regex(error.reason, /"options\.workers" is out of range/);
    await app.end();
  });

  test('a control socket that another primary has is the reason that upgrade() gives', async (t) => {
    const app = await startApp(t);
    const other = await startApp(t);
    const { control } = await other.status();
    const error = await failsToUpgrade(t, app, { args: like(app, { control }) });
    t.like(error, { code: 'ERR_RS_CLUSTER_UPGRADE_FAILED', phase: 'ready' });
    t.regex(error.reason, new RegExp(`belongs to another primary \\(pid ${other.pid}\\)`));
    t.is((await other.perform('state')).state, 'ready');
    await app.end();
    await other.end();
  });

  test('a control socket that something has removed does not keep a primary from taking over', async (t) => {
    const app = await startApp(t);
    const pids = await app.pids();
    rmSync((await app.status()).control);
    const { pid } = await app.perform('upgrade');
    await endUpgraded(t, app, pid, pids);
  });

  test('a supervisor that has failed is not upgraded', async (t) => {
    const app = await startApp(t, {
      program: 'process.exit(3);\n',
      options: { maxRestarts: 0 },
      waits: false,
    });
    await app.line({ on: 'supervisor', event: 'failed' });
    t.is((await t.throwsAsync(app.perform('upgrade'))).code, 'ERR_RS_CLUSTER_BUSY');
    await app.finish();
  });

  test('a worker of the new primary that fails is the reason, with what it wrote', async (t) => {
    const app = await startApp(t);
    app.deploy("console.error('no database'); process.exit(3);\n");
    const error = await failsToUpgrade(t, app);
    t.like(error, {
      code: 'ERR_RS_CLUSTER_UPGRADE_FAILED',
      phase: 'ready',
      stderr: 'no database',
    });
    t.regex(error.reason, /^worker \d+ \(slot \d\) exited with code 3 in phase start$/);
    app.deploy(serves('one'));
    const pids = await app.pids();
    const { pid } = await app.perform('upgrade');
    await endUpgraded(t, app, pid, pids);
  });

  test('upgrade() waits for no other operation, and others wait for it', async (t) => {
    const app = await startApp(t);
    const pids = await app.pids();
    const reloaded = app.perform('reload');
    t.is((await t.throwsAsync(app.perform('upgrade'))).code, 'ERR_RS_CLUSTER_BUSY');
    await reloaded;
    const upgraded = app.perform('upgrade');
    t.is((await t.throwsAsync(app.perform('upgrade'))).code, 'ERR_RS_CLUSTER_BUSY');
    const others = [app.perform('scale', 3), app.perform('restart', 0), app.perform('reload')];
    const codes = others.map(async (it) => (await t.throwsAsync(it)).code);
    t.is((await app.perform('state')).state, 'upgrading');
    const { pid, generation } = await upgraded;
    t.is(generation, 3);
    for (const code of codes) t.is(await code, 'ERR_RS_CLUSTER_UPGRADED');
    await endUpgraded(t, app, pid, pids);
  });

  test('operations that were asked for during an upgrade that fails are carried out after it', async (t) => {
    const app = await startApp(t);
    const upgraded = app.perform('upgrade', { args: like(app, { breaks: 'hang' }), timeout: 500 });
    const scaled = app.perform('scale', 3);
    t.is((await t.throwsAsync(upgraded)).code, 'ERR_RS_CLUSTER_UPGRADE_FAILED');
    t.is(await scaled, 3);
    await app.end();
  });

  test('stop() ends an upgrade, and the new primary with it', async (t) => {
    const app = await startApp(t);
    const upgraded = app.perform('upgrade', { args: like(app, { breaks: 'hang' }) });
    const { primary } = await app.line({ isSuccessor: true });
    const rejected = t.throwsAsync(upgraded);
    await app.perform('stop');
    t.is((await rejected).code, 'ERR_RS_CLUSTER_SUPERVISOR_STOPPED');
    await untilGone(primary);
    const error = await t.throwsAsync(app.perform('upgrade'));
    t.is(error.code, 'ERR_RS_CLUSTER_SUPERVISOR_STOPPED');
    await app.end();
  });

  test('SIGUSR2 upgrades, and a failure is a process warning', async (t) => {
    const app = await startApp(t, { warns: true });
    const pids = await app.pids();
    app.deploy('process.exit(3);\n');
    app.signal('SIGUSR2');
    await app.statusWhen(() => /SupervisorWarning: the new primary has not/.test(app.stderr));
    t.regex(app.stderr, /ERR_RS_CLUSTER_UPGRADE_FAILED/);
    app.deploy(serves('two'));
    app.signal('SIGUSR2');
    const { pid } = await app.line({ on: 'supervisor', event: 'upgrade' });
    t.is((await app.ask()).version, 'two');
    await endUpgraded(t, app, pid, pids);
  });
}
