'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { serial: test } = require('ava');
const { isBuiltin, specifier } = require('../helpers/implementation');
const { serves } = require('../helpers/programs');
const { PROGRAM, startSupervised } = require('../helpers/supervised');
const { temporaryDirectory } = require('../helpers/temporary');

/** Adds where the program runs to what it answers. */
const program = (version) => serves(version, { before: 'process.env.WHERE = process.cwd();' });

/** Makes a release, and lets the link lead to it. */
function release(base, version) {
  const directory = path.join(base, 'releases', version);
  fs.mkdirSync(directory, { recursive: true });
  fs.writeFileSync(path.join(directory, PROGRAM), program(version));
  link(base, version);
  return directory;
}

function link(base, version) {
  const current = path.join(base, 'current');
  fs.symlinkSync(path.join('releases', version), `${current}.new`);
  fs.renameSync(`${current}.new`, current);
}

/** Starts the program in the directory that the link leads to. */
async function startCurrent(t, base, { options, PWD = path.join(base, 'current'), ...how } = {}) {
  return startSupervised(t, {
    program: program('one'),
    directory: fs.realpathSync(path.join(base, 'current')),
    options: { directory: undefined, minUptime: 50, ...options },
    spawn: { cwd: path.join(base, 'current') },
    env: { PWD },
    ...how,
  });
}

// The built-in module does not supervise.
if (!isBuiltin) {
  test('a reload runs the program of the release that the link then leads to', async (t) => {
    const base = temporaryDirectory(t);
    release(base, 'one');
    const app = await startCurrent(t, base);
    const current = path.join(base, 'current');
    const { env } = await app.ask();
    t.deepEqual([env.WHERE, env.PWD], [path.join(base, 'releases/one'), current]);
    release(base, 'two');
    await app.perform('reload');
    const answer = await app.ask();
    t.is(answer.version, 'two');
    t.deepEqual([answer.env.WHERE, answer.env.PWD], [path.join(base, 'releases/two'), current]);
    await app.end();
  });

  test('a directory that is given is resolved at each reload as well', async (t) => {
    const base = temporaryDirectory(t);
    release(base, 'one');
    const options = { directory: path.join(base, 'current') };
    const app = await startCurrent(t, base, { options, PWD: '/', spawn: { cwd: '/' } });
    t.is((await app.ask()).env.PWD, options.directory);
    release(base, 'two');
    await app.perform('reload');
    t.is((await app.ask()).version, 'two');
    await app.end();
  });

  test('a worker that is replaced meanwhile runs the program of the last reload', async (t) => {
    const base = temporaryDirectory(t);
    release(base, 'one');
    const app = await startCurrent(t, base);
    release(base, 'two');
    process.kill((await app.pids())[0], 'SIGKILL');
    await app.line({ on: 'supervisor', event: 'replace', reason: 'crash' });
    await app.untilSettled();
    t.deepEqual(new Set(await app.versions()), new Set(['one']));
    await app.end();
  });

  test('where $PWD is another directory, the program stays in the one that it was started in', async (t) => {
    const base = temporaryDirectory(t);
    release(base, 'one');
    const app = await startCurrent(t, base, { PWD: '/' });
    release(base, 'two');
    await app.perform('reload');
    t.deepEqual(new Set(await app.versions()), new Set(['one']));
    await app.end();
  });

  test('the release that the primary was started from may be deleted, with this package in it', async (t) => {
    const base = temporaryDirectory(t);
    const one = release(base, 'one');
    const own = path.join(one, 'node_modules/rs-cluster');
    for (const it of ['index.js', 'preload.js', 'package.json', 'lib']) {
      fs.cpSync(path.join(specifier, it), path.join(own, it), { recursive: true });
    }
    const env = { CLUSTER: own };
    const app = await startCurrent(t, base, { env: { ...env, PWD: path.join(base, 'current') } });
    release(base, 'two');
    await app.perform('reload');
    fs.rmSync(one, { recursive: true });
    for (const pid of await app.pids()) process.kill(pid, 'SIGKILL');
    await app.linesLike({ on: 'supervisor', event: 'replace', reason: 'crash' }, 2);
    await app.untilSettled();
    t.deepEqual(new Set(await app.versions()), new Set(['two']));
    release(base, 'three');
    await app.perform('reload');
    t.deepEqual(new Set(await app.versions()), new Set(['three']));
    await app.end();
  });

  test('a reload without a program rejects, and the next one with a program works', async (t) => {
    const base = temporaryDirectory(t);
    release(base, 'one');
    const app = await startCurrent(t, base);
    const pids = await app.pids();
    fs.unlinkSync(path.join(base, 'current'));
    const error = await t.throwsAsync(app.perform('reload'));
    t.is(error.phase, 'start');
    t.deepEqual(await app.pids(), pids);
    release(base, 'two');
    await app.perform('reload');
    t.deepEqual(new Set(await app.versions()), new Set(['two']));
    await app.end();
  });

  test('files for workers that something removes are made again', async (t) => {
    const TMPDIR = temporaryDirectory(t);
    const env = { RUNTIME_DIRECTORY: '', XDG_RUNTIME_DIR: '', TMPDIR };
    // The primary makes the files again when it hears of the crash, which must be before the next start.
    const options = { minUptime: 50, restartDelay: 1_000, control: false };
    const app = await startSupervised(t, { env, options });
    const [name] = fs.readdirSync(TMPDIR);
    const clear = () => fs.rmSync(path.join(TMPDIR, name), { recursive: true });
    clear();
    const [pid] = await app.pids();
    process.kill(pid, 'SIGKILL');
    await app.next('replace', { slot: 0, reason: 'crash' });
    t.is((await app.status()).slots[0].failures, 1);
    clear();
    await app.perform('reload');
    clear();
    await app.perform('restart', 1);
    clear();
    await app.perform('scale', 3);
    await app.end();
    t.deepEqual(fs.readdirSync(TMPDIR), []);
  });

  test('nothing is left in the directory for temporary files', async (t) => {
    const directory = temporaryDirectory(t);
    const app = await startSupervised(t, { env: { TMPDIR: directory } });
    await app.perform('reload');
    await app.end();
    t.deepEqual(fs.readdirSync(directory), []);
  });
}
