'use strict';

// The commands, with the primaries that they speak to.

const { writeFileSync } = require('node:fs');
const path = require('node:path');
const { serial: test } = require('ava');
const { freshUser, jsonOf, runCli, startRun } = require('../helpers/cli');
const { isBuiltin } = require('../helpers/implementation');
const { serves } = require('../helpers/programs');
const { temporaryDirectory } = require('../helpers/temporary');
const { isAlive } = require('../../tools/process-group');

/** A running program, the file that it is in, and what speaks to it. */
async function startProgram(t, args = []) {
  const env = freshUser(t);
  const program = path.join(temporaryDirectory(t), 'shop.js');
  const deploy = (source) => writeFileSync(program, source);
  deploy(serves('one'));
  const app = await startRun(t, {
    program,
    args: ['-w', '2', '--min-uptime', '100', ...args],
    env,
  });
  return {
    app,
    deploy,
    env,
    json: (...args) => jsonOf(t, args, { env }),
    cli: (...args) => runCli(t, args, { env }),
  };
}

if (!isBuiltin) {
  test('the commands do what they say', async (t) => {
    const { app, deploy, json } = await startProgram(t);
    t.like(await json('status'), {
      name: 'shop',
      pid: app.pid,
      state: 'ready',
      generation: 1,
      workers: 2,
    });
    deploy(serves('two'));
    t.is((await json('reload')).value.generation, 2);
    t.is((await app.ask()).version, 'two');
    t.deepEqual(await json('scale', '+1'), { value: 3 });
    t.is((await json('status')).slots.length, 3);
    t.deepEqual(await json('scale', '2'), { value: 2 });
    const [before] = (await json('status')).slots;
    t.deepEqual(await json('restart', '0'), { value: null });
    t.not((await json('status')).slots[0].worker, before.worker);
    await json('hold');
    t.true((await json('status')).held);
    await json('release');
    t.false((await json('status')).held);
    await json('stop');
    t.false(isAlive(app.pid));
    t.is((await app.exited).code, 0);
  });

  test('a reload that fails exits with 1, and says which worker, phase, exit code, and why', async (t) => {
    const { app, deploy, cli, json } = await startProgram(t);
    const pids = (await json('status')).slots.map(({ pid }) => pid);
    deploy("console.error('no database'); process.exit(3);\n");
    const { code, stdout, stderr } = await cli('reload', '--json');
    t.deepEqual([code, stderr], [1, '']);
    t.like(JSON.parse(stdout).error, {
      code: 'ERR_RS_CLUSTER_WORKER_EXITED',
      exitCode: 3,
      slot: 0,
      stderr: 'no database\n',
    });
    const text = await cli('reload');
    t.is(text.code, 1);
    t.regex(
      text.stderr,
      /^rs-cluster: worker \d+ \(slot 0\) exited with code 3 in phase \w+\. The end of its stderr:\nno database\n$/,
    );
    t.deepEqual(
      (await json('status')).slots.map(({ pid }) => pid),
      pids,
    );
    t.is((await cli('stop')).code, 0);
    await app.exited;
  });

  test('a slot that is not there, and a scale that is refused, exit with 1', async (t) => {
    const { app, cli } = await startProgram(t);
    for (const args of [
      ['restart', '77'],
      ['scale', '-7'],
    ]) {
      const { code, stderr } = await cli(...args);
      t.is(code, 1);
      t.regex(stderr, /^rs-cluster: .*\n$/);
    }
    await cli('stop');
    await app.exited;
  });

  test('two programs that are given one name: the second is refused, with the pid of the first', async (t) => {
    const { app, cli, env } = await startProgram(t, ['--name', 'web']);
    const program = path.join(temporaryDirectory(t), 'other.js');
    writeFileSync(program, serves('other'));
    const { code, stderr } = await runCli(t, ['run', '--name', 'web', program, '0'], { env });
    t.is(code, 1);
    t.regex(
      stderr,
      new RegExp(
        `^rs-cluster: the control socket \\S+ belongs to .*pid ${app.pid}.*--name or --control\\n$`,
      ),
    );
    await cli('stop');
    await app.exited;
  });

  test('an admin endpoint that is in use is one line, and exit code 1', async (t) => {
    const { app, cli, env, json } = await startProgram(t, ['--admin', '0']);
    const { admin } = await json('status');
    const program = path.join(temporaryDirectory(t), 'other.js');
    writeFileSync(program, serves('other'));
    const { code, stderr } = await runCli(t, ['run', '--admin', admin, program, '0'], { env });
    t.is(code, 1);
    t.regex(stderr, /^rs-cluster: .*admin endpoint.*(?:EADDRINUSE|belongs to).*\n$/);
    await cli('stop');
    await app.exited;
  });

  test('a primary that is suspended is given up on, and answers when it goes on', async (t) => {
    const { app, cli, json } = await startProgram(t);
    app.signal('SIGSTOP');
    const { code, stderr } = await cli('status', '--timeout', '0.5');
    t.is(code, 1);
    t.regex(stderr, /has not answered for 0\.5 s/);
    app.signal('SIGCONT');
    t.is((await json('status')).state, 'ready');
    await cli('stop');
    await app.exited;
  });

  test('check starts the program until it is ready, beside the one that serves', async (t) => {
    const { app, cli, env } = await startProgram(t);
    const program = path.join(temporaryDirectory(t), 'checked.js');
    writeFileSync(program, serves('checked'));
    const port = `${app.target.port}`;
    const good = await runCli(t, ['check', program, port], { env });
    t.is(good.code, 0, good.stderr);
    t.regex(good.stdout, /^ready after \S+, listens on 127\.0\.0\.1:\d+\n$/);
    t.is((await app.ask()).version, 'one');
    writeFileSync(program, "console.error('no database'); process.exit(3);\n");
    const bad = await runCli(t, ['check', program], { env });
    t.is(bad.code, 1);
    t.is(bad.stdout, '');
    t.regex(
      bad.stderr,
      /^no database\nrs-cluster: the program does not start: worker 1 \(slot 0\) exited with code 3 in phase start\n$/,
    );
    const { stdout } = await runCli(t, ['check', '--json', program], { env });
    t.like(JSON.parse(stdout).error, { phase: 'start', exitCode: 3, stderr: 'no database\n' });
    await cli('stop');
    await app.exited;
  });
}
