'use strict';

const { writeFileSync } = require('node:fs');
const path = require('node:path');
const { serial: test } = require('ava');
const { BIN, freshUser, jsonOf, runCli } = require('../helpers/cli');
const { getText } = require('../helpers/client');
const { start } = require('../helpers/fixture');
const { freePort, freePortPair } = require('../helpers/free-port');
const { isBuiltin } = require('../helpers/implementation');
const { temporaryDirectory } = require('../helpers/temporary');
const { becomesTrue } = require('../../tools/process-group');

const PLACE = path.join(__dirname, '../fixtures/cli/pm2');
const LIMIT = 30_000;

const PROCESS_JSON = `// One application in fork mode
{
  name: 'single',
  script: 'server.js',
  exec_mode: 'fork', /* the default */
  time: true,
}
`;

/** Starts `rs-cluster run --config` in the directory of the files; resolves when it is ready. */
async function startConfig(t, args, env) {
  const user = freshUser(t);
  const app = start(t, BIN, {
    args: ['run', '--config', ...args],
    env: { ...user, ...env },
    spawn: { cwd: PLACE },
  });
  const isReady = () => /^\S+ ready: |"event":"ready"/m.test(app.stderr);
  await becomesTrue(() => isReady() || !app.isRunning, LIMIT);
  t.true(app.isRunning, `${app}`);
  return Object.assign(app, { user });
}

async function ask(port, url = '/') {
  return JSON.parse(await getText({ host: '127.0.0.1', port, path: url }));
}

async function stop(t, app) {
  app.signal('SIGTERM');
  const { code, signal } = await app.exited;
  t.deepEqual([code, signal], [0, null]);
}

if (!isBuiltin) {
  test('an application of an ecosystem file runs as the file says', async (t) => {
    const port = await freePort();
    const args = ['ecosystem.config.js', '--only', 'api', '--env', 'production'];
    const app = await startConfig(t, args, { PORT: `${port}` });
    const answers = [];
    while (answers.length < 6) answers.push(await ask(port));
    const instances = answers.map(({ env }) => env.NODE_APP_INSTANCE);
    t.deepEqual([...new Set(instances)].sort(), ['0', '1']);
    for (const answer of answers) {
      t.deepEqual(answer.args, ['--color', 'dark red', '--depth=2']);
      t.deepEqual(answer.execArgv, ['--no-warnings', '--max-old-space-size=200']);
      t.is(answer.env.NODE_ENV, 'production');
      t.is(answer.env.LIMITS, '{"depth":2}');
      t.is(answer.cwd, PLACE);
    }
    const { name, workers, slots } = await jsonOf(t, ['status', '--name', 'api'], {
      env: app.user,
    });
    t.deepEqual([name, workers, slots.length], ['api', 2, 2]);
    const warnings = app.stderr.match(/^\S+ \w+: .*(?:has no effect|PM2|reload").*$/gm);
    const named = warnings.map((line) => line.split(' ')[1]).sort();
    t.deepEqual(named, ['deploy:', 'listen_timeout:', 'out_file:', 'watch:']);
    await stop(t, app);
  });

  test('instances keep their numbers, and their ports, over a reload', async (t) => {
    const port = await freePortPair();
    const env = { FIRST_PORT: `${port}`, SECRET: '1', SECRETS: '2' };
    const app = await startConfig(t, ['ports.config.mjs'], env);
    const both = () => Promise.all([ask(port), ask(port + 1)]);
    const before = await both();
    await jsonOf(t, ['reload', '--name', 'server'], { env: app.user });
    const after = await both();
    for (const answers of [before, after]) {
      t.deepEqual(
        answers.map((it) => [it.env.INSTANCE, it.env.PORT, it.env.NODE_APP_INSTANCE]),
        [
          ['0', `${port}`, undefined],
          ['1', `${port + 1}`, undefined],
        ],
      );
      for (const it of answers) t.false('SECRET' in it.env || 'SECRETS' in it.env);
    }
    t.false(before.some((it, index) => it.pid === after[index].pid));
    await stop(t, app);
  });

  test('a JSON file in the syntax of PM2 runs one worker', async (t) => {
    const port = await freePort();
    const file = path.join(temporaryDirectory(t), 'process.json');
    writeFileSync(file, PROCESS_JSON);
    const app = await startConfig(t, [file, '--log', 'json'], { PORT: `${port}` });
    const entries = app.stderr
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    const [{ name, event, message }] = entries;
    t.deepEqual([event, name], ['warning', 'ConfigWarning']);
    t.regex(message, /^time: has no effect: /);
    t.is((await ask(port)).env.NODE_APP_INSTANCE, '0');
    await stop(t, app);
  });

  test('autorestart: false ends the primary with the last worker', async (t) => {
    const { code, stdout, stderr } = await runCli(
      t,
      ['run', '--config', 'ecosystem.config.js', '--only', 'once'],
      { env: freshUser(t), spawn: { cwd: PLACE } },
    );
    t.is(code, 1);
    t.is(stdout, 'done\n');
    t.regex(stderr, /autorestart: false: when all workers have ended, rs-cluster ends with code 1/);
  });

  test('a file that does not say what to run is an error of one line', async (t) => {
    for (const [args, message] of [
      [
        [],
        /^rs-cluster: ecosystem\.config\.js: the file has 2 applications: api, once\. Choose one by --only NAME; .*\n$/,
      ],
      [['--only', 'web'], /--only web: no application of that name\. The file has api, once\n$/],
    ]) {
      const { code, stdout, stderr } = await runCli(
        t,
        ['run', '--config', 'ecosystem.config.js', ...args],
        { env: freshUser(t), spawn: { cwd: PLACE } },
      );
      t.deepEqual([code, stdout], [2, '']);
      t.regex(stderr, message);
    }
  });

  test('an option of the command line goes over the file', async (t) => {
    const port = await freePort();
    const args = ['ecosystem.config.js', '--only', 'api', '-w', '1', '--name', 'mine'];
    const app = await startConfig(t, args, { PORT: `${port}` });
    t.regex(app.stderr, /ready: 1 worker on/);
    const { name, workers } = await jsonOf(t, ['status', '--name', 'mine'], { env: app.user });
    t.deepEqual([name, workers], ['mine', 1]);
    t.is((await ask(port)).env.NODE_ENV, 'development');
    await stop(t, app);
  });
}
