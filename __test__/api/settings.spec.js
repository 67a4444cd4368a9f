'use strict';

const { readdirSync } = require('node:fs');
const path = require('node:path');
const { pathToFileURL } = require('node:url');
const { serial: test } = require('ava');
const { fixturePath, run } = require('../helpers/fixture');
const { execPath, isBuiltin } = require('../helpers/implementation');
const { unprivileged } = require('../helpers/privileges');
const { temporaryDirectory } = require('../helpers/temporary');

const FACTS = fixturePath('shared/facts');

async function setup(t, ...calls) {
  const { lines } = await run(t, 'api/settings', { args: [calls, 'an argument'] });
  return lines;
}

/** Resolves to what a worker with these settings reports, and what its primary knows about it. */
async function fork(t, settings, { forkEnv = {}, ...options } = {}) {
  const args = [settings, forkEnv];
  const { lines, code } = await run(t, 'shared/worker-settings', { args, ...options });
  t.is(code, 0);
  const printed = lines.map(({ text = '' }) => text).join('');
  const facts = lines.find((line) => line.facts) ?? (printed[0] === '{' && JSON.parse(printed));
  return { ...facts, ...lines.find((line) => 'spawnfile' in line), printed };
}

test('the settings are empty before they are set up', async (t) => {
  const [first] = await setup(t, {});
  t.deepEqual(first, { before: {} });
});

test('the settings have the defaults of the process, and no others', async (t) => {
  const lines = await setup(t, {});
  t.deepEqual(lines[1].after, {
    args: ['[{}]', 'an argument'],
    exec: fixturePath('api/settings'),
    execArgv: [],
    silent: false,
  });
});

test('settings given later are merged over earlier ones', async (t) => {
  const lines = await setup(t, { exec: 'a.js', args: ['x'] }, { silent: true }, undefined);
  const [first, second, third] = lines.filter((line) => line.after).map((line) => line.after);
  t.like(first, { exec: 'a.js', args: ['x'], silent: false });
  t.like(second, { exec: 'a.js', args: ['x'], silent: true });
  t.deepEqual(third, second);
});

test("every call emits 'setup', with the settings of that call, on the next tick", async (t) => {
  const lines = await setup(t, { exec: 'a.js' }, { exec: 'b.js' });
  const called = lines.findIndex((line) => line.called);
  const events = lines.slice(called + 1);
  t.deepEqual(
    events.map(({ setup: settings }) => settings.exec),
    ['a.js', 'b.js'],
  );
  t.deepEqual(
    events.map(({ setup: settings }) => settings),
    lines.filter((line) => line.after).map((line) => line.after),
  );
  // Each event passes the object that cluster.settings was after that call.
  t.true(events.every(({ same }) => same));
});

test('settings affect only later forks', async (t) => {
  const { lines } = await run(t, 'api/later-settings');
  const found = lines.map(({ facts, argv, env }) => [facts, argv.slice(2), env.MARK]);
  t.deepEqual(found.sort(), [
    ['first', ['one'], 'one'],
    ['second', ['two'], 'two'],
  ]);
});

test('profiled workers write a log file each', async (t) => {
  const cwd = temporaryDirectory(t);
  const { pid } = await fork(t, { execArgv: ['--prof'], cwd });
  t.deepEqual(
    readdirSync(cwd).map((name) => name.endsWith(`v8-${pid}.log`)),
    [true],
  );
});

test('the log files of profiled workers can have other names', async (t) => {
  const lines = await setup(t, { execArgv: ['--prof'] }, { execArgv: ['--prof', '--logfile=x'] });
  const [given, named] = lines.filter((line) => line.after).map((line) => line.after);
  t.deepEqual(given.execArgv, ['--prof', '--logfile=v8-%p.log']);
  t.deepEqual(named.execArgv, ['--prof', '--logfile=x']);
});

test('exec and args are the program of the worker', async (t) => {
  const { argv, main, spawnfile } = await fork(t, { args: ['one', 'two words', ''] });
  t.deepEqual(argv, [execPath, FACTS, 'one', 'two words', '']);
  t.is(main, FACTS);
  t.is(spawnfile, execPath);
});

test('exec may be relative to cwd, and both may be URLs', async (t) => {
  t.is((await fork(t, { exec: './facts.js', cwd: path.dirname(FACTS) })).main, FACTS);
  const exec = `new URL('${pathToFileURL(FACTS)}')`;
  const settings = `{ exec: ${exec}, args: [], cwd: new URL('file:///') }`;
  t.like(await fork(t, settings), { main: FACTS, cwd: '/' });
});

test('a worker without a file reads its program from its input', async (t) => {
  const { lines, code } = await run(t, 'api/program-from-stdin');
  t.is(code, 0);
  const common = { argv: ['', 'one'], isWorker: true, canSend: 'function' };
  // With the built-in module, such a process does not act as a worker; only `isWorker` is true.
  const [id, variable] = isBuiltin ? ['undefined', '1'] : [1, 'undefined'];
  const events = isBuiltin ? [] : ['online', 'listening'];
  t.deepEqual(lines, [
    { ...common, id, variable },
    { code: 0, events: [...events, 'disconnect', 'exit'] },
  ]);
});

test('execArgv are the flags of the worker', async (t) => {
  const execArgv = ['--no-deprecation', '--max-http-header-size=20000'];
  t.deepEqual((await fork(t, { execArgv })).execArgv, execArgv);
  t.deepEqual((await fork(t, {}, { nodeArgs: execArgv })).execArgv, execArgv);
});

test('cwd is the directory of the worker', async (t) => {
  const cwd = temporaryDirectory(t);
  t.is((await fork(t, { cwd })).cwd, cwd);
});

test('the environment is that of the primary, and the argument of fork', async (t) => {
  const { env } = await fork(
    t,
    {},
    {
      env: { INHERITED: 'yes', OVERRIDDEN: 'no' },
      forkEnv: { GIVEN: 'é=1', NUMBER: 5, OVERRIDDEN: 'yes', UNSET: undefined },
    },
  );
  t.like(env, { INHERITED: 'yes', GIVEN: 'é=1', NUMBER: '5', OVERRIDDEN: 'yes' });
  t.false('UNSET' in env);
  t.false(Object.keys(env).some((name) => /^NODE_(UNIQUE_ID|CHANNEL)/.test(name)));
});

test('workers share the outputs of the primary', async (t) => {
  const { streams, printed, facts } = await fork(t, {});
  t.deepEqual(streams, [false, false, false]);
  t.is(printed, '');
  t.is(facts, 'worker');
});

test('a silent worker prints into its streams', async (t) => {
  const { streams, printed } = await fork(t, { silent: true });
  t.deepEqual(streams, [true, true, true]);
  t.is(JSON.parse(printed).facts, 'worker');
});

test('stdio overrides silent', async (t) => {
  const { streams } = await fork(t, { silent: true, stdio: ['ignore', 1, 2, 'ipc'] });
  t.deepEqual(streams, [false, false, false]);
});

test('additional pipes have the numbers that stdio gives them', async (t) => {
  const { stdio, printed } = await fork(t, {
    exec: fixturePath('shared/writes'),
    args: ['5'],
    stdio: [0, 1, 2, 'ipc', 'ignore', 'pipe'],
  });
  t.deepEqual(stdio, [false, false, false, false, false, true]);
  t.is(printed, 'written');
});

test('the channel may be anywhere in stdio', async (t) => {
  const { stdio, printed } = await fork(t, {
    exec: fixturePath('shared/writes'),
    args: ['3'],
    stdio: [0, 1, 2, 'pipe', 'ipc'],
  });
  t.deepEqual(stdio, [false, false, false, true, false]);
  t.is(printed, 'written');
});

if (process.getuid?.() === 0 && unprivileged) {
  test('a worker has the given uid and gid, and no other groups', async (t) => {
    const { uid, gid } = unprivileged;
    const settings = `(process.setgroups([4, 27]), { uid: ${uid}, gid: ${gid} })`;
    t.like(await fork(t, settings), { uid, gid, groups: [gid] });
  });

  test('a gid alone also removes the other groups', async (t) => {
    const { gid } = unprivileged;
    const settings = `(process.setgroups([4, 27]), { gid: ${gid} })`;
    t.like(await fork(t, settings), { gid, groups: [gid] });
  });
}
