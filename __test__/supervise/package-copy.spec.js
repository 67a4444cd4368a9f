'use strict';

const { spawnSync } = require('node:child_process');
const { chmodSync, mkdirSync, readdirSync, writeFileSync } = require('node:fs');
const path = require('node:path');
const { serial: test } = require('ava');
const { run, start } = require('../helpers/fixture');
const { execPath } = require('../helpers/implementation');
const { temporaryDirectory } = require('../helpers/temporary');
const { majorVersion } = require('../helpers/version');

/** Places for the copy: the directory of a service, that of a session, and the temporary one. */
function places(t) {
  const base = temporaryDirectory(t);
  chmodSync(base, 0o755);
  const names = ['RUNTIME_DIRECTORY', 'XDG_RUNTIME_DIR', 'TMPDIR'];
  const env = Object.fromEntries(names.map((name) => [name, path.join(base, name)]));
  for (const place of Object.values(env)) mkdirSync(place);
  return env;
}

async function copy(t, env, { isForOthers = false, ...options } = {}) {
  const args = [isForOthers, false];
  const { lines, code } = await run(t, 'supervise/copy', { env, args, ...options });
  t.is(code, 0);
  return lines[0];
}

test('the copy is in the directory of the service, or of the session, or in the temporary one', async (t) => {
  const env = places(t);
  const { mode, folder, names } = await copy(t, env);
  t.is(path.dirname(folder), env.RUNTIME_DIRECTORY);
  t.is(mode, '700');
  t.deepEqual(names.slice(0, 3), ['lib', 'package.json', 'preload.js']);
  // systemd names several, separated by colons.
  const several = { ...env, RUNTIME_DIRECTORY: `${env.TMPDIR}:/other` };
  t.is(path.dirname((await copy(t, several)).folder), env.TMPDIR);
  const session = { ...env, RUNTIME_DIRECTORY: undefined };
  t.is(path.dirname((await copy(t, session)).folder), env.XDG_RUNTIME_DIR);
  const none = { ...env, RUNTIME_DIRECTORY: '/no/such', XDG_RUNTIME_DIR: 'relative' };
  t.is(path.dirname((await copy(t, none)).folder), env.TMPDIR);
});

test('a process can load the engine from the copy alone, as CommonJS', async (t) => {
  const env = places(t);
  // What a copy without a package.json would obey.
  writeFileSync(path.join(env.RUNTIME_DIRECTORY, 'package.json'), '{ "type": "module" }');
  const program = start(t, 'supervise/copy', { env, args: [false, true] });
  const { files } = await program.line({});
  const code = `
    require(${JSON.stringify(path.join(path.dirname(files.preload), 'lib/addon/binary.js'))})
      .chosen.file = ${JSON.stringify(files.binary)};
    require(${JSON.stringify(path.join(path.dirname(files.preload), 'lib/worker/attach.js'))});
    const loaded = [...Object.keys(require.cache), ...process.report.getReport().sharedObjects];
    console.log(JSON.stringify(loaded.filter((file) => /rs-cluster/.test(file))));`;
  const { stdout } = spawnSync(execPath, ['-e', code], { encoding: 'utf8' });
  const loaded = JSON.parse(stdout);
  t.true(loaded.includes(files.binary));
  t.true(loaded.length > 10);
  t.deepEqual(
    loaded.filter((file) => !file.startsWith(env.RUNTIME_DIRECTORY)),
    [],
  );
  program.destroy();
  await program.exited;
});

test('the copy is removed when the primary ends, and by the next one if it was killed', async (t) => {
  const env = places(t);
  const left = () => readdirSync(env.RUNTIME_DIRECTORY);
  await copy(t, env);
  t.deepEqual(left(), []);

  const killed = start(t, 'supervise/copy', { env, args: [false, true] });
  await killed.line({});
  killed.signal('SIGKILL');
  await killed.exited;
  t.is(left().length, 1);

  const living = start(t, 'supervise/copy', { env, args: [false, true] });
  const { folder } = await living.line({});
  t.deepEqual(left(), [path.basename(folder)]);
  await copy(t, env);
  t.deepEqual(left(), [path.basename(folder)]);
  living.destroy();
  await living.exited;
});

test('what is not a copy of a dead primary stays', async (t) => {
  const env = places(t);
  const others = ['rs-cluster-1', 'rs-cluster-000000000000-99999999-x', 'other'];
  for (const name of others) mkdirSync(path.join(env.RUNTIME_DIRECTORY, name));
  await copy(t, env);
  t.deepEqual(readdirSync(env.RUNTIME_DIRECTORY).sort(), others.toSorted());
});

test('for workers of another user the copy is where that can read it', async (t) => {
  const env = places(t);
  chmodSync(env.RUNTIME_DIRECTORY, 0o700);
  const { mode, folder } = await copy(t, env, { isForOthers: true });
  t.is(path.dirname(folder), env.XDG_RUNTIME_DIR);
  t.is(mode, '755');
});

// Node 18 has no permissions.
(majorVersion >= 20 ? test : test.skip)(
  'no copy is made where the permission model names the files that may be read',
  async (t) => {
    const enable = majorVersion < 22 ? '--experimental-permission' : '--permission';
    const nodeArgs = [enable, '--allow-fs-read=*', '--allow-fs-write=*', '--allow-addons'];
    const env = places(t);
    const { files, version } = await copy(t, env, { nodeArgs, warns: true });
    t.is(files, undefined);
    t.truthy(version);
    t.deepEqual(readdirSync(env.RUNTIME_DIRECTORY), []);
  },
);

const isRoot = process.getuid?.() === 0;
const canMount = isRoot && spawnSync('unshare', ['--mount', 'true']).status === 0;
(canMount ? test : test.skip)('a file system without execution is passed over', async (t) => {
  const env = places(t);
  const mount = `mount -t tmpfs -o noexec,size=64m none ${env.RUNTIME_DIRECTORY} && exec "$@"`;
  const launcher = ['unshare', '--mount', 'sh', '-c', mount, 'sh'];
  const { folder } = await copy(t, env, { launcher });
  t.is(path.dirname(folder), env.XDG_RUNTIME_DIR);
});
