'use strict';

// The commands that speak to a primary, with a server in its place that says what a real one does not say at
// will. See primaries.spec.js for real ones.

const { chmodSync, mkdirSync, writeFileSync } = require('node:fs');
const path = require('node:path');
const { serial: test } = require('ava');
const { freshUser, jsonOf, runCli } = require('../helpers/cli');
const { sendJson, slotOf, startControlServer, statusOf } = require('../helpers/control-server');
const { isBuiltin } = require('../helpers/implementation');
const { unprivileged } = require('../helpers/privileges');
const { temporaryDirectory } = require('../helpers/temporary');

/** What the commands ask of a primary, by their arguments. */
const REQUESTS = [
  [['reload'], '/reload', {}],
  [['scale', '4'], '/scale', { workers: 4 }],
  [['scale', '+1'], '/scale', { workers: '+1' }],
  [['scale', '-1'], '/scale', { workers: '-1' }],
  [['scale', 'auto'], '/scale', { workers: 'auto' }],
  [['restart', '1'], '/restart', { slot: 1 }],
  [['upgrade'], '/upgrade', {}],
  [
    ['upgrade', '--node', process.execPath, '--directory', '/srv', '--timeout', '5'],
    '/upgrade',
    { execPath: process.execPath, directory: '/srv', timeout: 5_000 },
  ],
  [['hold'], '/hold', {}],
  [['release'], '/release', {}],
];

/** An environment, and the path of a control socket in it that is found. */
function place(t) {
  const env = freshUser(t);
  return { env, control: path.join(env.XDG_RUNTIME_DIR, 'rs-cluster', 'shop.sock') };
}

if (!isBuiltin) {
  for (const [args, url, body] of REQUESTS) {
    test(`rs-cluster ${args.join(' ')} asks for ${url}`, async (t) => {
      const { env, control } = place(t);
      const result = { generation: 4, ms: 1_234 };
      const values = { '/reload': result, '/upgrade': { pid: 7, ...result }, '/scale': 4 };
      const value = values[url] ?? null;
      const { requests } = await startControlServer(t, control, (asked, response) => {
        if (asked.url === url) sendJson(response, 200, { value });
        return asked.url === url;
      });
      t.deepEqual(await jsonOf(t, args, { env }), { value });
      t.deepEqual(requests.at(-1), { method: 'POST', url, body });
      const { code, stdout, stderr } = await runCli(t, args, { env });
      t.deepEqual([code, stderr], [0, '']);
      t.regex(stdout, /^[a-z\d].+\n$/);
    });
  }

  test('stop succeeds when the primary ends before it has answered', async (t) => {
    const { env, control } = place(t);
    const { requests } = await startControlServer(t, control, ({ url }, response) => {
      // No process has this pid.
      if (url === '/status') sendJson(response, 200, statusOf({ pid: 2 ** 30 }));
      else response.socket.destroy();
      return true;
    });
    t.deepEqual(await jsonOf(t, ['stop', '--drain-timeout', '2s'], { env }), { value: null });
    t.deepEqual(requests.at(-1).body, { timeout: 2_000 });
  });

  test('upgrade succeeds when the old primary ends before it has answered, and another one has taken over', async (t) => {
    const { env, control } = place(t);
    let pid = 7;
    await startControlServer(t, control, ({ url }, response) => {
      if (url === '/status') sendJson(response, 200, statusOf({ pid, generation: pid }));
      else {
        pid = 8;
        response.socket.destroy();
      }
      return true;
    });
    const { value } = await jsonOf(t, ['upgrade'], { env });
    t.like(value, { pid: 8, generation: 8 });
  });

  test('upgrade fails when a primary has been started anew that is not the next one', async (t) => {
    const { env, control } = place(t);
    let status = { pid: 7, generation: 3 };
    await startControlServer(t, control, ({ url }, response) => {
      if (url === '/status') sendJson(response, 200, statusOf(status));
      else {
        status = { pid: 8, generation: 1 };
        response.socket.destroy();
      }
      return true;
    });
    const { code, stderr } = await runCli(t, ['upgrade'], { env });
    t.is(code, 1);
    t.regex(stderr, /closed the connection without an answer/);
  });

  test('upgrade fails when the primary closes the connection, and goes on', async (t) => {
    const { env, control } = place(t);
    await startControlServer(t, control, ({ url }, response) => {
      if (url !== '/status') response.socket.destroy();
      return url !== '/status';
    });
    const { code, stderr } = await runCli(t, ['upgrade'], { env });
    t.is(code, 1);
    t.regex(stderr, /closed the connection without an answer/);
  });

  test('an operation that fails: its line, the end of stderr, and exit code 1', async (t) => {
    const { env, control } = place(t);
    const details = {
      phase: 'canary',
      worker: 7,
      slot: 0,
      exitCode: 3,
      stderr: 'no \x1b[2J database\n',
    };
    const error = {
      message: 'worker 7 (slot 0) exited with code 3 in phase canary',
      code: 'ERR_X',
      ...details,
    };
    await startControlServer(t, control, ({ url }, response) => {
      if (url === '/reload') sendJson(response, 409, { error });
      return url === '/reload';
    });
    const { code, stdout, stderr } = await runCli(t, ['reload'], { env });
    t.deepEqual([code, stdout], [1, '']);
    // What a worker writes does not get to control the terminal.
    t.is(stderr, `rs-cluster: ${error.message}. The end of its stderr:\nno \u{fffd}[2J database\n`);
    const json = await runCli(t, ['reload', '--json'], { env });
    t.deepEqual(JSON.parse(json.stdout), { error });
    t.deepEqual([json.code, json.stderr], [1, '']);
  });

  for (const [what, answer] of Object.entries({
    HTML: (response) => response.end('<h1>It works</h1>'),
    'JSON of another kind': (response) => sendJson(response, 200, [1]),
    'another status': (response) => sendJson(response, 404, {}),
    'no HTTP': (response) => response.socket.end('220 mail\r\n'),
  })) {
    test(`a server that answers with ${what} is told from a primary`, async (t) => {
      const { env, control } = place(t);
      await startControlServer(t, control, (_asked, response) => {
        answer(response);
        return true;
      });
      for (const command of ['status', 'reload']) {
        const { code, stderr } = await runCli(t, [command], { env });
        t.is(code, 1);
        t.regex(stderr, /^rs-cluster: \S+ is not the control socket of a primary\. .*\n$/);
      }
    });
  }

  test('a primary that does not answer is given up on', async (t) => {
    const { env, control } = place(t);
    await startControlServer(t, control, () => true);
    const { code, stderr } = await runCli(t, ['status', '--timeout', '0.3'], { env });
    t.is(code, 1);
    t.regex(stderr, /^rs-cluster: .* has not answered for 0\.3 s\. .*--timeout.*\n$/);
  });

  test('several primaries are listed, and --name chooses one', async (t) => {
    const { env, control } = place(t);
    const other = path.join(path.dirname(control), 'blog.sock');
    await startControlServer(t, control);
    await startControlServer(t, other);
    const { code, stderr } = await runCli(t, ['status'], { env });
    t.is(code, 2);
    t.regex(stderr, /^rs-cluster: several primaries run\. Choose one by --name or --control:\n/);
    t.true(stderr.includes(`--name blog  (${other})`) && stderr.includes('--name shop'));
    t.is((await jsonOf(t, ['status', '--name', 'shop'], { env })).name, 'shop');
    t.is((await jsonOf(t, ['status', '--control', other], { env })).name, 'shop');
  });

  test('a socket whose primary has ended is told from one that is there', async (t) => {
    const { env, control } = place(t);
    const child = require('node:child_process').spawnSync(process.execPath, [
      '-e',
      `require('fs').mkdirSync(${JSON.stringify(path.dirname(control))});
       require('net').createServer().listen(${JSON.stringify(control)}, () => process.kill(process.pid, 'SIGKILL'))`,
    ]);
    t.is(child.signal, 'SIGKILL');
    const found = await runCli(t, ['status'], { env });
    t.is(found.code, 1);
    t.regex(found.stderr, /^rs-cluster: the primary shop has ended\. It has left \S+\.sock, .*\n$/);
    const named = await runCli(t, ['status', '--control', control], { env });
    t.regex(named.stderr, /^rs-cluster: no process listens on \S+\.sock\. .*\n$/);
    // It does not stand in the way of a living one.
    await startControlServer(t, path.join(path.dirname(control), 'blog.sock'));
    t.is((await runCli(t, ['status'], { env })).code, 0);
  });

  test('files, and directories of other users, are not control sockets', async (t) => {
    const { env, control } = place(t);
    mkdirSync(path.dirname(control));
    writeFileSync(control, '');
    const { stderr } = await runCli(t, ['status'], { env });
    t.regex(stderr, /^rs-cluster: no primary runs\./);
    const named = await runCli(t, ['status', '--control', control], { env });
    t.regex(named.stderr, /is not the control socket of a primary/);
    const missing = await runCli(t, ['status', '--control', `${control}.x`], { env });
    t.regex(missing.stderr, /^rs-cluster: there is no \S+\.sock\.x\./);
  });

  if (unprivileged?.uid !== undefined) {
    test('the socket of another user: one line says so', async (t) => {
      const control = path.join(temporaryDirectory(t), 'shop.sock');
      await startControlServer(t, control);
      chmodSync(path.dirname(control), 0o755);
      chmodSync(control, 0o600);
      const { code, stderr } = await runCli(t, ['status', '--control', control], {
        spawn: unprivileged,
      });
      t.is(code, 1);
      t.regex(stderr, /^rs-cluster: \S+ belongs to another user\. Run this as the user.*\n$/);
    });
  }

  test('status is a table, without colors unless a terminal or FORCE_COLOR asks for them', async (t) => {
    const { env, control } = place(t);
    const slots = [
      slotOf(0),
      slotOf(1, { state: 'waiting', nextStart: 1_500, worker: null, pid: null, uptime: null }),
    ];
    await startControlServer(t, control, (_asked, response) => {
      sendJson(response, 200, statusOf({ slots, name: 'shop\x1b[2J' }));
      return true;
    });
    const { stdout } = await runCli(t, ['status'], { env });
    t.false(stdout.includes('\x1b'));
    const [headline, second, , header, ...rows] = stdout.split('\n');
    t.regex(headline, /^shop\ufffd\[2J ready · 1\/2 workers · generation 3 · up 2h 13m · pid \d+$/);
    t.regex(second, /^admin 127\.0\.0\.1:9100 · control \/run\/shop\/shop\.sock · node v/);
    t.regex(
      header,
      /^SLOT {2}STATE +WORKER +PID +GEN +UPTIME +RESTARTS +MEM +CPU +OPEN +WAIT +CONNS$/,
    );
    t.regex(rows[0], /^ {3}0 {2}ready +5 +4000 +3 +2m 5s +0 +45\.2M +5\.2s +12 +0 +750$/);
    t.regex(rows[1], /^ {3}1 {2}waiting 1\.5s +- +- /);
    const colored = await runCli(t, ['status'], { env: { ...env, FORCE_COLOR: '1' } });
    t.true(colored.stdout.includes(`${'\x1b[32m'}ready`));
  });

  test('--watch without a terminal prints a line each time, until the primary is gone', async (t) => {
    const { env, control } = place(t);
    let asked = 0;
    const server = await startControlServer(t, control, () => {
      asked += 1;
      if (asked > 3) server.close();
      return asked > 3;
    });
    const { code, stdout, stderr } = await runCli(t, ['status', '--watch', '--interval', '0.1'], {
      env,
    });
    t.is(code, 1);
    t.is(stdout.match(/^\S+Z {2}ready {2}ready 2\/2 {2}generation 3 {2}open 24 .*$/gm).length, 3);
    t.regex(stderr, /^rs-cluster: .*\n$/);
  });
}
