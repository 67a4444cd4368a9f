'use strict';

const { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } = require('node:fs');
const path = require('node:path');
const { serial: test } = require('ava');
const { BIN, freshUser, hasScript, onTerminal, runCli, startRun } = require('../helpers/cli');
const { get, getText } = require('../helpers/client');
const { fixturePath, start } = require('../helpers/fixture');
const { freePort } = require('../helpers/free-port');
const { execPath, isBuiltin } = require('../helpers/implementation');
const { serves } = require('../helpers/programs');
const { temporaryDirectory } = require('../helpers/temporary');
const { becomesTrue, isAlive } = require('../../tools/process-group');

const LIMIT = 20_000;
const SERVER = fixturePath('cli/server');

async function startServer(t, { args = ['-w', '2'], ...options } = {}) {
  return startRun(t, { program: SERVER, env: freshUser(t), ...options, args });
}

async function stop(t, app, signal = 'SIGTERM') {
  app.signal(signal);
  const { code, signal: by } = await app.exited;
  t.deepEqual([code, by], [0, null]);
}

/** The pid of the first worker that the log names as ready on the terminal of `app`. */
async function untilPrinted(t, app, pattern) {
  const isThere = () => pattern.test(app.stdout + app.stderr);
  t.true(await becomesTrue(isThere, LIMIT), `${app}`);
}

async function startOnTerminal(t, env = freshUser(t)) {
  const port = await freePort();
  const app = start(t, BIN, {
    env,
    launcher: onTerminal(),
    args: ['run', '-w', '1', SERVER, `${port}`],
  });
  await untilPrinted(t, app, /ready: 1 worker on/);
  app.ask = () => get({ host: '127.0.0.1', port });
  return app;
}

/** Runs a script of a package.json that starts the server. */
async function startByNpm(t, prefix, launcher = []) {
  const place = temporaryDirectory(t);
  const port = await freePort();
  const scripts = { start: `${prefix}'${execPath}' '${BIN}' run -w 1 '${SERVER}' ${port}` };
  writeFileSync(path.join(place, 'package.json'), JSON.stringify({ scripts }));
  const app = start(t, BIN, {
    env: freshUser(t),
    spawn: { cwd: place },
    launcher: [...launcher, 'sh', '-c', 'exec npm start --silent', 'sh'],
  });
  await untilPrinted(t, app, /ready: 1 worker on/);
  return { app };
}

if (!isBuiltin) {
  test('the end of the shell by which npm has started it stops it in order', async (t) => {
    const { app } = await startByNpm(t, '');
    app.signal('SIGTERM');
    // Fails if a process is left.
    await app.exited;
    t.regex(app.stderr, /^\S+ stopped$/m);
  });

  test('the program runs in workers alone, with what follows its name as arguments', async (t) => {
    const app = await startServer(t, { programArgs: ['--help', '-w', '--', 'x'] });
    const { pid, ppid, args } = await app.ask();
    t.deepEqual(args, ['--help', '-w', '--', 'x']);
    t.is(ppid, app.pid);
    t.not(pid, app.pid);
    if (existsSync('/proc/self/cmdline')) {
      const title = readFileSync(`/proc/${app.pid}/cmdline`, 'utf8').replace(/[\0 ]+$/, '');
      t.is(title, 'rs-cluster: rs-cluster');
    }
    t.regex(app.stderr, /^\d\d:\d\d:\d\d ready: 2 workers on 127\.0\.0\.1:\d+$/m);
    await stop(t, app);
    t.regex(app.stderr, /^\S+ stopped$/m);
  });

  for (const [what, make] of Object.entries({
    'with spaces in its path': (place) => {
      mkdirSync(path.join(place, 'my app'));
      writeFileSync(path.join(place, 'my app', 'a server.js'), serves('one'));
      return 'my app/a server.js';
    },
    'that is a package with main': (place) => {
      writeFileSync(path.join(place, 'package.json'), '{ "main": "lib/main.js" }');
      mkdirSync(path.join(place, 'lib'));
      writeFileSync(path.join(place, 'lib', 'main.js'), serves('one'));
      return '.';
    },
    'named without its extension': (place) => {
      writeFileSync(path.join(place, 'server.js'), serves('one'));
      return './server';
    },
    'that is an ES module': (place) => {
      const text =
        'import http from \'node:http\';\nhttp.createServer((_, answer) => answer.end(\'{"version":"one"}\'))';
      writeFileSync(
        path.join(place, 'server.mjs'),
        `${text}.listen(process.argv[2], '127.0.0.1');\n`,
      );
      return 'server.mjs';
    },
  })) {
    test(`runs a program ${what}`, async (t) => {
      const cwd = temporaryDirectory(t);
      const program = make(cwd);
      const app = await startServer(t, { program, spawn: { cwd } });
      t.is((await app.ask()).version, 'one');
      await stop(t, app);
    });
  }

  test('options for the workers get there', async (t) => {
    const place = temporaryDirectory(t);
    writeFileSync(path.join(place, 'variables'), "SHADE=red\nPATH=/none\nQUOTED='a b'\n");
    const dotenv = require('node:util').parseEnv
      ? ['--env-file', path.join(place, 'variables')]
      : [];
    const args = [
      '-w',
      '1',
      '--cwd',
      place,
      '--node-args',
      '--no-deprecation --title "a b"',
      ...dotenv,
    ];
    const app = await startServer(t, { args });
    const { cwd, execArgv, env, title } = await app.ask();
    t.is(cwd, place);
    t.true(execArgv.includes('--no-deprecation'));
    t.is(title, 'a b');
    if (dotenv.length > 0) {
      t.deepEqual([env.SHADE, env.QUOTED], ['red', 'a b']);
      t.is(env.PATH, process.env.PATH);
    }
    await stop(t, app);
  });

  test('a link to the command works, as npm makes them', async (t) => {
    const place = temporaryDirectory(t);
    const link = path.join(place, 'rs-cluster');
    symlinkSync(BIN, link);
    const port = await freePort();
    const env = { ...freshUser(t), PATH: `${path.dirname(execPath)}:${process.env.PATH}` };
    const app = start(t, SERVER, {
      env,
      launcher: ['sh', '-c', `shift; exec '${link}' run -w 1 "$@"`, 'sh'],
      args: [`${port}`],
    });
    await untilPrinted(t, app, /ready: 1 worker on/);
    await stop(t, app);
  });

  test('a program that fails in every slot ends it with 1, and one line says why', async (t) => {
    const place = path.join(temporaryDirectory(t), 'fails.js');
    writeFileSync(place, "console.error('no database'); process.exit(3);\n");
    const args = ['run', '-w', '1', '--max-restarts', '0', '--log', 'none', place];
    const { code, stderr } = await runCli(t, args, { env: freshUser(t) });
    t.is(code, 1);
    t.regex(
      stderr,
      /^rs-cluster: every slot has failed; .*worker 1 \(slot 0\) exited with code 3/m,
    );
    t.is(stderr.match(/no database/g).length, 1);
  });

  test('with --log json each event is a line of JSON, and so are warnings', async (t) => {
    const app = await startServer(t, { args: ['-w', '1', '--log', 'json'], waits: false });
    const exit = await app.ask('/exit').catch(({ code }) => code);
    t.is(exit, 'ECONNRESET');
    await untilPrinted(t, app, /"event":"replace".*"crash"/);
    await stop(t, app);
    const entries = app.stderr
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    const [backoff] = entries.filter(({ event }) => event === 'backoff');
    t.like(backoff, { level: 'warn', slot: 0, worker: 1, exitCode: 5, failures: 1 });
    t.is(new Date(backoff.time).toISOString(), backoff.time);
    t.deepEqual(
      entries.filter(({ event }) => event === 'exit').map(({ worker, code }) => [worker, code]),
      [
        [1, 5],
        [2, 0],
      ],
    );
    t.is(entries.at(-1).event, 'stopped');
  });

  for (const [what, redirection] of Object.entries({
    'a full disk': '2>/dev/full',
    'a closed stderr': '2>&-',
    'a pipe that is closed': '2> >(exec true)',
  })) {
    test(`${what} under the log stops nothing`, async (t) => {
      const port = await freePort();
      const app = start(t, BIN, {
        env: freshUser(t),
        launcher: ['bash', '-c', `exec "$@" ${redirection}`, 'bash'],
        args: ['run', '-w', '1', SERVER, `${port}`],
      });
      const ask = (url) => getText({ host: '127.0.0.1', port, path: url });
      const answers = () =>
        ask('/').then(
          () => true,
          () => false,
        );
      t.true(await becomesTrue(answers, LIMIT));
      await ask('/exit').catch(() => {});
      t.true(await becomesTrue(answers, LIMIT));
      await stop(t, app);
    });
  }

  test('started by npm with exec, it ends in order by one signal', async (t) => {
    const { app } = await startByNpm(t, 'exec ');
    app.signal('SIGTERM');
    await app.exited;
    t.regex(app.stderr, /^\S+ stopped$/m);
  });

  if (hasScript) {
    test('Ctrl-C stops it in order', async (t) => {
      const app = await startOnTerminal(t);
      app.write('\x03');
      const { code } = await app.exited;
      t.is(code, 0);
      t.regex(app.stdout, /^\S+ stopped\r?$/m);
    });

    test('Ctrl-C in a terminal stops it in order under npm, too', async (t) => {
      const { app } = await startByNpm(t, '', onTerminal());
      app.write('\x03');
      await app.exited;
      t.regex(app.stdout, /^\S+ stopped\r?$/m);
    });

    test('Ctrl-S on the terminal stops the output, and nothing else', async (t) => {
      const env = freshUser(t);
      const app = await startOnTerminal(t, env);
      app.write('\x13');
      const { code, stdout } = await runCli(t, ['reload', '--json'], { env });
      t.is(code, 0, stdout);
      t.false(/generation 2/.test(app.stdout));
      app.write('\x11');
      await untilPrinted(t, app, /generation 2 is in force/);
      app.write('\x03');
      t.is((await app.exited).code, 0);
    });

    test('closing the terminal stops it', async (t) => {
      const app = await startOnTerminal(t);
      const { ppid } = await app.ask();
      app.signal('SIGKILL');
      await app.exited.catch(() => {});
      t.true(await becomesTrue(() => !isAlive(ppid), LIMIT));
    });
  }
}
