'use strict';

const { mkdirSync, rmSync, symlinkSync, writeFileSync } = require('node:fs');
const path = require('node:path');
const { serial: test } = require('ava');
const { fixturePath, run } = require('../helpers/fixture');
const { temporaryDirectory } = require('../helpers/temporary');

/** The recipes by these options, which are an expression; of the second release, too, if there is a base. */
async function recipes(t, expression, { base, ...options } = {}) {
  const args = base ? [expression, base] : [expression];
  const { lines, code } = await run(t, 'supervise/recipes', { ...options, args });
  t.is(code, 0);
  return lines;
}

/** A directory with two releases, and a link to the first. */
function releases(t) {
  const base = temporaryDirectory(t);
  for (const release of ['1', '2']) {
    mkdirSync(path.join(base, 'releases', release, 'sub'), { recursive: true });
    writeFileSync(path.join(base, 'releases', release, 'app.js'), '');
  }
  symlinkSync('releases/1', path.join(base, 'current'));
  return base;
}

/** As `cd current && node …` in a shell. */
function inShell(folder) {
  return { spawn: { cwd: folder }, env: { PWD: folder } };
}

const places = ({ args, cwd, env }) => [args.at(-1), cwd, env.PWD];

test('a program below the link moves with it, and $PWD keeps the link', async (t) => {
  const base = releases(t);
  const current = path.join(base, 'current');
  // What Node makes of `app.js` after `cd current`.
  const exec = path.join(base, 'releases/1/app.js');
  const options = { base, ...inShell(current) };
  const [first, second] = await recipes(t, `({ exec: '${exec}', args: [] })`, options);
  t.deepEqual(places(first), [exec, path.join(base, 'releases/1'), current]);
  const moved = path.join(base, 'releases/2');
  t.deepEqual(places(second), [path.join(moved, 'app.js'), moved, current]);
});

test('the option directory takes the place of $PWD', async (t) => {
  const base = releases(t);
  const current = path.join(base, 'current');
  const exec = path.join(current, 'app.js');
  const expression = `({ exec: '${exec}', args: [], directory: '${current}' })`;
  const [first, second] = await recipes(t, expression, { base });
  for (const [release, recipe] of [first, second].entries()) {
    const real = path.join(base, `releases/${release + 1}`);
    t.deepEqual(places(recipe), [path.join(real, 'app.js'), real, current]);
  }
});

test('without $PWD workers stay where the primary is', async (t) => {
  const base = releases(t);
  const current = path.join(base, 'current');
  const real = path.join(base, 'releases/1');
  const options = { base, spawn: { cwd: current }, env: { PWD: '/' } };
  const [, second] = await recipes(t, `({ exec: 'app.js', args: [] })`, options);
  t.deepEqual(places(second), ['app.js', real, real]);
});

test('a relative directory for workers is one of the release', async (t) => {
  const base = releases(t);
  const current = path.join(base, 'current');
  const options = { base, ...inShell(current) };
  const [, second] = await recipes(t, `({ exec: '../app.js', args: [], cwd: 'sub' })`, options);
  const [exec, cwd, pwd] = places(second);
  t.deepEqual([exec, cwd], ['../app.js', path.join(base, 'releases/2/sub')]);
  t.is(pwd, path.join(current, 'sub'));
});

test('a directory that is not there makes supervise throw', async (t) => {
  const base = releases(t);
  rmSync(path.join(base, 'releases/2'), { recursive: true });
  const options = { base, ...inShell(path.join(base, 'current')) };
  const [first, second] = await recipes(t, `({ exec: 'app.js', args: [] })`, options);
  t.is(first.code, undefined);
  t.is(second.code, 'ENOENT');
});

test('so does a working directory of workers that is not there in the release', async (t) => {
  const base = releases(t);
  rmSync(path.join(base, 'releases/2/sub'), { recursive: true });
  const options = { base, ...inShell(path.join(base, 'current')) };
  const expression = `({ exec: '../app.js', args: [], cwd: 'sub' })`;
  const [first, second] = await recipes(t, expression, options);
  t.is(first.code, undefined);
  t.is(second.code, 'ENOENT');
  t.regex(second.message, /releases\/2\/sub/);
});

test('a function for the environment is asked for each recipe', async (t) => {
  const base = releases(t);
  const expression = `(() => {
    let count = 0;
    return { exec: 'app.js', env: () => ({ COUNT: (count += 1), GONE: undefined }) };
  })()`;
  const env = { NODE_UNIQUE_ID: '', GONE: 'x', KEPT: 'y' };
  const lines = await recipes(t, expression, { base, env });
  t.deepEqual(
    lines.map((line) => [line.env.COUNT, line.env.GONE, line.env.KEPT]),
    [
      ['1', undefined, 'y'],
      ['2', undefined, 'y'],
    ],
  );
});

test('an environment that is not an object, and one that throws, are errors', async (t) => {
  const code = async (expression) => (await recipes(t, expression))[0].code;
  for (const returned of ['undefined', 'null', '5', '[]', 'Promise.resolve({})']) {
    const expression = `({ exec: 'app.js', env: () => ${returned} })`;
    t.is(await code(expression), 'ERR_INVALID_RETURN_VALUE', returned);
  }
  const [{ message }] = await recipes(t, `({ exec: 'a.js', env() { throw new Error('no') } })`);
  t.is(message, 'no');
});

test('a recipe has what the engine needs besides', async (t) => {
  const [recipe] = await recipes(
    t,
    `({ exec: 'app.js', args: ['a'], maxRequests: 5, readyWhen: 'ready', queueTimeout: 7 })`,
  );
  const given = JSON.parse(recipe.env.RS_CLUSTER_WORKER);
  t.deepEqual(given.lanes, [3, 4, 5, 6, 7]);
  t.deepEqual(given.supervised, { readyWhen: 'ready', countsRequests: true });
  t.like(recipe, { ownGroup: true, keepStderr: true, queueTimeout: 7, watchdog: 7 });
  t.deepEqual(recipe.stdio, [-2, 1, 2, -1]);
  t.is(recipe.env.NODE_UNIQUE_ID, undefined);
  t.is(recipe.inspectPort, undefined);
});

test('with stdio or silent the end of the stderr is not kept', async (t) => {
  const stdio = async (options) => {
    const [recipe] = await recipes(t, `({ exec: 'app.js', ${options} })`);
    return [recipe.stdio, recipe.keepStderr];
  };
  t.deepEqual(await stdio('silent: true'), [[-3, -3, -3, -1], false]);
  t.deepEqual(await stdio(`stdio: ['ignore', 'pipe', 1, 'ipc', 'ignore']`), [
    [-2, -3, 1, -1, -1],
    false,
  ]);
});

test('each worker gets a port for its inspector before its program', async (t) => {
  const program = fixturePath('shared/app');
  const [recipe] = await recipes(
    t,
    `({ exec: '${program}', args: ['a', 'b'], execArgv: ['--inspect=0', '--no-warnings'], inspectPort: 7000 })`,
  );
  t.is(recipe.inspectPort, 7000);
  // The spec does not see the preload.
  t.is(recipe.args[recipe.inspectIndex - 1], program);
  const [random] = await recipes(
    t,
    `({ exec: '${program}', args: [], execArgv: ['--inspect'], inspectPort: 0 })`,
  );
  t.is(random.inspectPort, undefined);
  t.is(random.args.at(-2), '--inspect-port=0');
});

test('settings that Node refuses are refused', async (t) => {
  const code = async (options) => (await recipes(t, `({ exec: 'a.js', ${options} })`))[0].code;
  t.is(await code('args: 5'), 'ERR_INVALID_ARG_TYPE');
  t.is(await code(`serialization: 'xml'`), 'ERR_INVALID_ARG_VALUE');
  t.is(await code(`stdio: ['ignore', 'inherit', 'inherit']`), 'ERR_CHILD_PROCESS_IPC_REQUIRED');
});
