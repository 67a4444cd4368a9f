'use strict';

const { spawnSync } = require('node:child_process');
const { once } = require('node:events');
const {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} = require('node:fs');
const path = require('node:path');
const { serial: test } = require('ava');
const { start } = require('../helpers/fixture');
const { isBuiltin } = require('../helpers/implementation');
const { NAME, request, startOperated } = require('../helpers/operator');
const { startSupervised } = require('../helpers/supervised');
const { temporaryDirectory } = require('../helpers/temporary');
const { OperatorSockets } = require('../../lib/supervisor/operator-sockets');

const AT_ONCE = 20;
const OTHER = { uid: 65534, gid: 65534 };
const IN_USE = 'ERR_RS_CLUSTER_CONTROL_IN_USE';

/** Sends two orders on one connection, and prints what comes. */
const CLIENT = `
const order = 'POST /hold HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n';
const socket = require('node:net').connect(process.argv[1], () => socket.write(order + order));
socket.on('error', ({ code }) => process.stdout.write(code)).pipe(process.stdout);
`;

/** Leaves the file of a socket behind, as a process does that is killed. */
function leaveSocket(file) {
  const listen =
    'require("node:net").createServer().listen(process.argv[1], () => process.kill(process.pid, 9))';
  spawnSync(process.execPath, ['-e', listen, file]);
}

/** Programs that claim a control socket at the same moment; resolves to what each got. */
async function claimAtOnce(t, options, env) {
  const args = [{ settings: { exec: path.join(env.XDG_RUNTIME_DIR, 'program.js') }, ...options }];
  const all = Array.from({ length: AT_ONCE }, () =>
    start(t, 'supervise/claims', { args, env, crashes: true }),
  );
  await Promise.all(all.map((one) => one.line({ waits: true })));
  for (const one of all) one.write('claim\n');
  const isClaim = (line) => 'claimed' in line;
  const claims = all.map(async (one) => {
    while (!one.lines.some(isClaim)) await once(one, 'news');
    return one.lines.find(isClaim);
  });
  return { claims: await Promise.all(claims), end: () => Promise.all(all.map((one) => one.end())) };
}

/** Starts a program whose control socket goes where `env` says; resolves to its path. */
async function controlWith(t, env) {
  const app = await startSupervised(t, { options: { name: NAME, workers: 1 }, env, warns: true });
  const { control } = await app.status();
  await app.end();
  return control;
}

// The built-in module does not supervise.
if (!isBuiltin) {
  for (const [what, prepare] of [
    ['free', () => {}],
    ['stale', leaveSocket],
  ]) {
    test(`of many primaries that want one ${what} control socket, one gets it`, async (t) => {
      const runtime = temporaryDirectory(t);
      const control = path.join(runtime, 'control.sock');
      prepare(control);
      const { claims, end } = await claimAtOnce(t, { control }, { XDG_RUNTIME_DIR: runtime });
      t.is(claims.filter(({ claimed }) => claimed === control).length, 1);
      t.is(
        claims.filter(({ code }) => code === IN_USE).length,
        AT_ONCE - 1,
        JSON.stringify(claims),
      );
      await end();
      t.false(existsSync(control));
    });
  }

  test('each of many primaries of one program gets a control socket of its own', async (t) => {
    const runtime = temporaryDirectory(t);
    const { claims, end } = await claimAtOnce(t, {}, { XDG_RUNTIME_DIR: runtime });
    const numbers = Array.from({ length: AT_ONCE }, (_, index) => index + 1);
    const names = numbers.map((number) => (number === 1 ? 'program' : `program-${number}`));
    const wanted = names.map((name) => path.join(runtime, 'rs-cluster', `${name}.sock`));
    t.deepEqual(claims.map(({ claimed }) => claimed).sort(), wanted.sort());
    await end();
  });

  test('the first runtime directory of several is used', async (t) => {
    const [first, second] = [temporaryDirectory(t), temporaryDirectory(t)];
    const control = await controlWith(t, { RUNTIME_DIRECTORY: `${first}:${second}` });
    t.is(control, path.join(first, `${NAME}.sock`));
  });

  test('a directory that leads elsewhere, or that others may change, is not used', async (t) => {
    const [runtime, elsewhere] = [temporaryDirectory(t), temporaryDirectory(t)];
    const directory = path.join(runtime, 'rs-cluster');
    const env = { RUNTIME_DIRECTORY: '', XDG_RUNTIME_DIR: runtime, TMPDIR: elsewhere };
    const fallback = path.join(elsewhere, `rs-cluster-${process.getuid()}`, `${NAME}.sock`);
    symlinkSync(elsewhere, directory);
    t.is(await controlWith(t, env), fallback);
    rmSync(directory);
    mkdirSync(directory);
    chmodSync(directory, 0o777);
    t.is(await controlWith(t, env), fallback);
    rmSync(directory, { recursive: true });
    chmodSync(runtime, 0o777);
    t.is(await controlWith(t, env), fallback);
    chmodSync(runtime, 0o700);
    t.is(await controlWith(t, env), path.join(directory, `${NAME}.sock`));
  });

  test('a program that exits leaves no control socket', async (t) => {
    const app = await startOperated(t, { options: { workers: 1 } });
    t.true(existsSync(app.control.socketPath));
    app.send({ do: 'exit', token: 1 });
    t.is((await app.exited).code, 0);
    t.false(existsSync(app.control.socketPath));
  });

  test('a program that exits late leaves the control socket of the next one', (t) => {
    const file = path.join(temporaryDirectory(t), 'control.sock');
    const engine = { listenControl: (place) => void writeFileSync(place, '') ?? null };
    const options = { control: file, admin: false, settings: { exec: 'program.js' } };
    const sockets = new OperatorSockets(engine, options);
    t.teardown(() => sockets.closed());
    writeFileSync(`${file}.next`, '');
    renameSync(`${file}.next`, file);
    sockets.remove();
    t.true(existsSync(file));
    new OperatorSockets(engine, options).remove();
    t.false(existsSync(file));
  });

  if (process.getuid() === 0) {
    test('a client of another user is refused, and sent away', async (t) => {
      const app = await startOperated(t);
      const { socketPath } = app.control;
      const directory = path.dirname(socketPath);
      for (const place of [app.runtime, directory]) chmodSync(place, 0o711);
      const ask = () => {
        const args = ['-e', CLIENT, socketPath];
        return spawnSync(process.execPath, args, { ...OTHER, encoding: 'utf8' }).stdout;
      };
      t.is(ask(), 'EACCES', 'the mode of the socket keeps others out');
      chmodSync(socketPath, 0o666);
      const answer = ask();
      t.regex(answer, /^HTTP\/1\.1 403 /);
      t.is(answer.match(/^HTTP/gm).length, 1, 'the connection has ended');
      t.regex(answer, /"code":"EACCES"/);
      t.false((await request(app.control, '/status')).json().held);
      await app.end();
    });

    test('a directory of another user is not used, nor one below it', async (t) => {
      const [runtime, temporary] = [temporaryDirectory(t), temporaryDirectory(t)];
      const env = { RUNTIME_DIRECTORY: '', XDG_RUNTIME_DIR: runtime, TMPDIR: temporary };
      const fallback = path.join(temporary, `rs-cluster-0`, `${NAME}.sock`);
      chownSync(runtime, OTHER.uid, OTHER.gid);
      t.is(await controlWith(t, env), fallback);
      chownSync(runtime, 0, 0);
      const directory = path.join(runtime, 'rs-cluster');
      mkdirSync(directory, { recursive: true });
      chownSync(directory, OTHER.uid, OTHER.gid);
      t.is(await controlWith(t, env), fallback);
    });
  }
}
