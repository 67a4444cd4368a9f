'use strict';

const { chmodSync, mkdirSync, readFileSync, realpathSync, writeFileSync } = require('node:fs');
const path = require('node:path');
const { serial: test } = require('ava');
const { fixturePath, run } = require('../helpers/fixture');
const { execPath, isBuiltin } = require('../helpers/implementation');
const { install } = require('../helpers/installation');
const { temporaryDirectory } = require('../helpers/temporary');
const { isAtLeast, majorVersion } = require('../helpers/version');

const DEFAULT_SIZE = 16384;

/** Starts a worker; resolves to how it was started, as it reports itself. */
async function start(t, settings = {}, { forkEnv = {}, ...options } = {}) {
  const { lines, ...result } = await run(t, 'environment/worker-start', {
    args: [settings, forkEnv],
    ...options,
  });
  const [{ asked } = {}] = lines.filter((line) => line.asked);
  const said = lines.filter((line) => line.said).map((line) => line.said);
  return { ...asked, said, exit: lines.find((line) => 'code' in line), ...result };
}

/** Makes a directory with a file that contains this text. */
function withFile(t, name, text) {
  const directory = temporaryDirectory(t);
  writeFileSync(path.join(directory, name), text);
  return directory;
}

/**
 * Makes a program that starts Node by `script`; returns flags that make it the `process.execPath` of a
 * primary.
 */
function launcher(t, script) {
  const file = path.join(withFile(t, 'launcher', `#!/bin/sh\n${script}\n`), 'launcher');
  chmodSync(file, 0o755);
  const set = withFile(t, 'set.js', `process.execPath = ${JSON.stringify(file)};`);
  return ['--require', path.join(set, 'set.js')];
}

const GOOD = { said: ['hello from worker 1'], exit: { code: 0, signal: null }, code: 0 };

test('a worker has only its own flags and variables', async (t) => {
  const expected = { options: undefined, variable: undefined, execArgv: [], args: ['an argument'] };
  t.like(await start(t), { ...GOOD, ...expected, maxHeaderSize: DEFAULT_SIZE });
});

if (majorVersion <= 22) {
  test('files of the package are scripts, even if files are modules by default', async (t) => {
    const nodeArgs = ['--experimental-default-type=module'];
    t.like(await start(t, {}, { nodeArgs }), { ...GOOD, execArgv: nodeArgs });
  });
}

if (majorVersion >= 20) {
  test('a worker uses the options in its environment file', async (t) => {
    const cwd = withFile(t, '.env', 'NODE_OPTIONS="--max-http-header-size=20000"\nVARIABLE=1');
    const execArgv = ['--env-file=.env'];
    const options = '--max-http-header-size=20000';
    const found = await start(t, { execArgv, cwd });
    t.like(found, { ...GOOD, maxHeaderSize: 20000, options, variable: '1', execArgv });
  });

  test('a worker uses the last of its environment files that has options', async (t) => {
    const cwd = withFile(t, 'a.env', 'NODE_OPTIONS=--max-http-header-size=20000\nVARIABLE=1');
    writeFileSync(path.join(cwd, 'b.env'), 'NODE_OPTIONS=--max-http-header-size=30000');
    writeFileSync(path.join(cwd, 'c.env'), 'VARIABLE=3');
    const execArgv = ['--env-file', 'a.env', '--env-file=b.env', '--env-file=c.env'];
    const options = '--max-http-header-size=30000';
    const found = await start(t, { execArgv, cwd });
    t.like(found, { ...GOOD, maxHeaderSize: 30000, options, variable: '3', execArgv });
  });

  for (const given of ['', '--title=its-own']) {
    test(`a worker uses the options '${given}' of the environment, not those of an environment file`, async (t) => {
      const cwd = withFile(t, '.env', 'NODE_OPTIONS=--max-http-header-size=20000');
      const settings = { execArgv: ['--env-file=.env'], cwd };
      const found = await start(t, settings, { forkEnv: { NODE_OPTIONS: given } });
      t.like(found, { ...GOOD, maxHeaderSize: DEFAULT_SIZE, options: given });
    });
  }

  test('a missing environment file ends a worker, as it ends Node', async (t) => {
    const found = await start(t, { execArgv: ['--env-file=missing'] });
    t.deepEqual(found.exit, { code: 9, signal: null });
    t.regex(found.stderr, /missing: not found/);
  });

  for (const EARLY of ['loader', 'thread', 'child', 'listeners']) {
    test(`a preload (${EARLY}) of an environment file does not harm a worker`, async (t) => {
      const preload = fixturePath('environment/user-preload');
      const cwd = withFile(t, '.env', `EARLY=${EARLY}\nNODE_OPTIONS='--require "${preload}"'`);
      t.like(await start(t, { execArgv: ['--env-file=.env'], cwd }), GOOD);
    });
  }
}

if (majorVersion >= 24) {
  test('a worker uses the options in its configuration file', async (t) => {
    const text = '{ "nodeOptions": { "max-http-header-size": 20000 } }';
    const cwd = withFile(t, 'node.config.json', text);
    const execArgv = ['--experimental-config-file=node.config.json'];
    const found = await start(t, { execArgv, cwd }, { warns: true });
    t.like(found, { ...GOOD, maxHeaderSize: 20000, options: undefined, execArgv });
  });
}

test('another program that starts Node may start a worker', async (t) => {
  const nodeArgs = launcher(t, `exec '${execPath}' "$@"`);
  t.like(await start(t, { execArgv: ['--no-deprecation'] }, { nodeArgs }), {
    ...GOOD,
    execArgv: ['--no-deprecation'],
    args: ['an argument'],
  });
});

if (!isBuiltin) {
  test('a process whose Node ignores the flag and NODE_OPTIONS of fork() becomes a worker when it loads the package', async (t) => {
    const nodeArgs = launcher(t, `shift 2; unset NODE_OPTIONS; exec '${execPath}' "$@"`);
    const found = await start(t, { execArgv: [] }, { nodeArgs });
    t.like(found, { ...GOOD, options: undefined, execArgv: [], args: ['an argument'] });
  });

  // A single executable passes all arguments to its program.
  test('a worker of a single executable does not have the flags of fork() in its arguments', async (t) => {
    const file = path.join(temporaryDirectory(t), 'arguments');
    const nodeArgs = launcher(t, `echo "$@" > '${file}'; exec '${execPath}' "$@"`);
    const isSea = withFile(t, 'sea.js', "require('node:sea').isSea = () => true;");
    nodeArgs.push('--require', path.join(isSea, 'sea.js'));
    if (!isAtLeast('20.12.0')) return t.pass();
    t.like(await start(t, { execArgv: [] }, { nodeArgs }), GOOD);
    t.is(readFileSync(file, 'utf8'), `${fixturePath('environment/worker-start')} an argument\n`);
  });

  const names = [
    'with spaces',
    '"double" and \'single\'',
    'back\\slash',
    '#hash?',
    '100%25',
    'ünï',
  ];
  for (const name of names) {
    test(`the package works in a directory named ${name}`, async (t) => {
      const directory = path.join(temporaryDirectory(t), name);
      mkdirSync(directory);
      const home = realpathSync(install(t, undefined, directory));
      for (const nodeArgs of [[], ['--require', path.join(home, 'register.js')]]) {
        t.like(await start(t, { execArgv: [] }, { nodeArgs, env: { CLUSTER: home } }), GOOD);
      }
    });
  }
}
