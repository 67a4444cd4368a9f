'use strict';

// `rs-cluster upgrade`, and what it makes of a program that `rs-cluster run` runs.

const { cpSync, realpathSync, renameSync, rmSync, symlinkSync, writeFileSync } = require('node:fs');
const path = require('node:path');
const { serial: test } = require('ava');
const { getText } = require('../helpers/client');
const { BIN, freshUser, jsonOf, runCli, startRun } = require('../helpers/cli');
const { start } = require('../helpers/fixture');
const { freePort } = require('../helpers/free-port');
const { execPath, isBuiltin } = require('../helpers/implementation');
const { serves } = require('../helpers/programs');
const { temporaryDirectory } = require('../helpers/temporary');
const { becomesTrue } = require('../../tools/process-group');

const LIMIT = 20_000;
const ROOT = path.join(__dirname, '../..');
/** The files of the package. */
const FILES = ['bin', 'index.js', 'lib', 'package.json', 'preload.js'];

/** A program that runs, and what speaks to it. */
async function startProgram(t, args = [], variables = {}) {
  const env = { ...freshUser(t), ...variables };
  const folder = temporaryDirectory(t);
  const program = path.join(folder, 'shop.js');
  writeFileSync(program, serves('one'));
  const app = await startRun(t, {
    program,
    args: ['-w', '2', '--min-uptime', '100', ...args],
    env,
  });
  const json = (...command) => jsonOf(t, command, { env });
  const cli = (...command) => runCli(t, command, { env });
  return { app, env, folder, program, json, cli };
}

/** Stops the primary that serves, and waits until all of them have ended. */
async function stopAll(t, { app, cli }) {
  t.is((await cli('stop')).code, 0);
  t.is((await app.exited).code, 0);
}

/** Waits until an answer fulfills a condition. */
async function answers(t, app, condition) {
  const isSo = async () => condition(await app.ask());
  t.true(await becomesTrue(isSo, LIMIT));
}

if (!isBuiltin) {
  test('another primary serves, and status shows it', async (t) => {
    const it = await startProgram(t);
    const before = await it.json('status');
    writeFileSync(it.program, serves('two'));
    const { value } = await it.json('upgrade');
    const after = await it.json('status');
    t.like(after, {
      name: 'shop',
      state: 'ready',
      generation: 2,
      pid: value.pid,
      control: before.control,
    });
    t.not(after.pid, it.app.pid);
    t.is((await it.app.ask()).version, 'two');
    await becomesTrue(() => /took over from process/.test(it.app.stderr), LIMIT);
    t.regex(it.app.stderr, /^\S+ upgrading$/m);
    t.regex(it.app.stderr, /^\S+ process \d+ serves generation 2 after \d+ ms$/m);
    t.regex(it.app.stderr, new RegExp(`^\\S+ took over from process ${it.app.pid} \\(Node v`, 'm'));
    const { code, stdout } = await it.cli('upgrade');
    t.is(code, 0);
    t.regex(stdout, /^process \d+ serves generation 3 after \S+\n$/);
    await stopAll(t, it);
  });

  test('a file of options is read again', async (t) => {
    const env = freshUser(t);
    const folder = temporaryDirectory(t);
    const port = await freePort();
    const config = path.join(folder, 'rs-cluster.json');
    const configure = (options) =>
      writeFileSync(config, JSON.stringify({ minUptime: 100, ...options }));
    writeFileSync(path.join(folder, 'shop.js'), serves('one'));
    configure({ workers: 1 });
    const app = start(t, BIN, {
      args: ['run', '--config', 'rs-cluster.json', 'shop.js', `${port}`],
      env,
      spawn: { cwd: folder },
    });
    await becomesTrue(() => /ready: 1 worker /.test(app.stderr), LIMIT);
    configure({ workers: 3, env: { COLOR: 'blue' } });
    await jsonOf(t, ['upgrade'], { env });
    t.is((await jsonOf(t, ['status'], { env })).workers, 3);
    t.is(JSON.parse(await getText({ host: '127.0.0.1', port })).env.COLOR, 'blue');
    configure({ workers: 'many' });
    const { code, stderr } = await runCli(t, ['upgrade'], { env });
    t.is(code, 1);
    t.regex(
      stderr,
      /^rs-cluster: the new primary has not taken over: in phase handshake, --workers must be/,
    );
    writeFileSync(config, 'no JSON');
    const broken = await runCli(t, ['upgrade'], { env });
    t.regex(broken.stderr, /rs-cluster\.json/);
    t.is((await jsonOf(t, ['status'], { env })).generation, 2);
    await stopAll(t, { app, cli: (...args) => runCli(t, args, { env }) });
  });

  test('the rs-cluster of the new release runs, where the link leads to', async (t) => {
    const env = freshUser(t);
    const base = realpathSync(temporaryDirectory(t));
    const port = await freePort();
    const current = path.join(base, 'current');
    const release = (version) => {
      const place = path.join(base, version);
      const own = path.join(place, 'node_modules/rs-cluster');
      for (const file of FILES)
        cpSync(path.join(ROOT, file), path.join(own, file), { recursive: true });
      writeFileSync(path.join(place, 'shop.js'), serves(version));
      symlinkSync(place, `${current}.new`);
      renameSync(`${current}.new`, current);
      return place;
    };
    const one = release('one');
    const app = start(t, path.join(one, 'node_modules/rs-cluster/bin/rs-cluster.js'), {
      args: ['run', '-w', '1', '--min-uptime', '100', 'shop.js', `${port}`],
      env: { ...env, PWD: current },
      spawn: { cwd: current },
    });
    await becomesTrue(() => /ready: 1 worker/.test(app.stderr), LIMIT);
    release('two');
    rmSync(one, { recursive: true });
    // The files of the first release are not there any more.
    await jsonOf(t, ['upgrade'], { env });
    t.is(JSON.parse(await getText({ host: '127.0.0.1', port })).version, 'two');
    await stopAll(t, { app, cli: (...args) => runCli(t, args, { env }) });
  });

  test('a program that npm has started ends with the shell of npm, also after an upgrade', async (t) => {
    const env = freshUser(t);
    const place = temporaryDirectory(t);
    const run = `'${execPath}' '${BIN}' run -w 1 --min-uptime 100 shop.js ${await freePort()}`;
    writeFileSync(path.join(place, 'package.json'), JSON.stringify({ scripts: { start: run } }));
    writeFileSync(path.join(place, 'shop.js'), serves('one'));
    const app = start(t, BIN, {
      env,
      spawn: { cwd: place },
      launcher: ['sh', '-c', 'exec npm start --silent', 'sh'],
    });
    await becomesTrue(() => /ready: 1 worker/.test(app.stderr), LIMIT);
    await jsonOf(t, ['upgrade'], { env });
    app.signal('SIGTERM');
    // Fails if a process is left.
    await app.exited;
    t.regex(app.stderr, /^\S+ the primary that followed has ended with code 0$/m);
  });

  test('what cannot be started exits with 1, in one line, and the program goes on', async (t) => {
    const it = await startProgram(t);
    const cases = [
      [
        ['--node', '/no/such/node'],
        /^rs-cluster: --node: \/no\/such\/node can't be executed \(ENOENT\)\n$/,
      ],
      [['--node', 'no-such-node'], /^rs-cluster: --node: there is no no-such-node in \$PATH\n$/],
      [['--node', it.program], /^rs-cluster: --node: \S+ can't be executed \(EACCES\)\n$/],
      [
        ['--directory', '/no/such/directory'],
        /^rs-cluster: .*no primary can be started: ENOENT.*\n$/,
      ],
      [['--timeout', '0.001'], /^rs-cluster: .*within the timeout.*\n$/],
    ];
    for (const [args, text] of cases) {
      const { code, stdout, stderr } = await it.cli('upgrade', ...args);
      t.deepEqual([code, stdout], [1, '']);
      t.regex(stderr, text);
    }
    writeFileSync(it.program, 'const = 1;\n');
    const { code, stderr } = await it.cli('upgrade');
    t.is(code, 1);
    t.regex(stderr, /in phase handshake, \S+shop\.js:1: SyntaxError/);
    await answers(t, it.app, ({ version }) => version === 'one');
    await stopAll(t, it);
  });

  test('a worker that fails is told with the end of its stderr', async (t) => {
    const it = await startProgram(t);
    writeFileSync(it.program, "console.error('no database');\nprocess.exit(3);\n");
    const { code, stderr } = await it.cli('upgrade');
    t.is(code, 1);
    t.regex(
      stderr,
      /^rs-cluster: the new primary has not taken over: in phase ready, worker \d+ \(slot \d\) exited with code 3 in phase \w+\. The end of its stderr:\nno database\n$/,
    );
    const json = await it.cli('upgrade', '--json');
    t.like(JSON.parse(json.stdout).error, {
      code: 'ERR_RS_CLUSTER_UPGRADE_FAILED',
      phase: 'ready',
      stderr: 'no database',
    });
    await stopAll(t, it);
  });

  test('a variable that no primary has set does nothing, and workers do not get it', async (t) => {
    // The standard input, a descriptor that is not open, and no descriptor.
    for (const RS_CLUSTER_UPGRADE of ['0', '999', 'soon']) {
      const it = await startProgram(t, [], { RS_CLUSTER_UPGRADE });
      t.is((await it.app.ask()).env.RS_CLUSTER_UPGRADE, undefined);
      t.is((await it.json('status')).generation, 1);
      await stopAll(t, it);
    }
  });

  test('wrong options of upgrade end with 2', async (t) => {
    const env = freshUser(t);
    for (const args of [['--timeout', 'soon'], ['now'], ['--execpath', 'x']]) {
      const { code } = await runCli(t, ['upgrade', ...args], { env });
      t.is(code, 2);
    }
  });
}
