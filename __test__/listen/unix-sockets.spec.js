'use strict';

const { chmodSync, existsSync, mkdirSync, readdirSync, statSync } = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { serial: test } = require('ava');
const { startApp } = require('../helpers/app');
const { askEach, connectionError } = require('../helpers/client');
const { run } = require('../helpers/fixture');
const { isBuiltin } = require('../helpers/implementation');
const { unprivileged } = require('../helpers/privileges');
const { temporaryDirectory } = require('../helpers/temporary');
const { majorVersion } = require('../helpers/version');

/** Resolves to the value of `server.address()` in each worker. */
const addresses = async (app, workers) =>
  (await app.linesLike({ server: 'listening' }, workers)).map(({ at }) => at);

test('a Unix socket is shared, and its file is removed afterwards', async (t) => {
  const socket = path.join(temporaryDirectory(t), 'socket');
  const app = await startApp(t, { workers: 2, listen: { path: socket } });
  t.deepEqual(await addresses(app, 2), [socket, socket]);
  await askEach({ socketPath: socket }, [1, 2]);
  await app.end();
  t.false(existsSync(socket));
});

test('a relative path is relative to the directory of the worker', async (t) => {
  const cwd = temporaryDirectory(t);
  const app = await startApp(t, { workers: 2, listen: { path: 'socket' }, settings: { cwd } });
  t.deepEqual(await addresses(app, 2), ['socket', 'socket']);
  await askEach({ socketPath: path.join(cwd, 'socket') }, [1, 2]);
  await app.end();
});

test('a path too long for the kernel works if it is short relative to the primary', async (t) => {
  const cwd = path.join(temporaryDirectory(t), ...Array(4).fill('d'.repeat(30)));
  mkdirSync(cwd, { recursive: true });
  const app = await startApp(t, { workers: 2, listen: { path: 'socket' } }, { spawn: { cwd } });
  t.true(existsSync(path.join(cwd, 'socket')));
  await app.end();
  t.false(existsSync(path.join(cwd, 'socket')));
});

for (const [options, mode] of [
  [{}, 0],
  [{ readableAll: true }, 0o044],
  [{ writableAll: true }, 0o022],
  [{ readableAll: true, writableAll: true }, 0o066],
]) {
  const names = Object.keys(options).join(' and ') || 'no option';
  test(`${names} gives other users the mode 0${mode.toString(8)}`, async (t) => {
    const socket = path.join(temporaryDirectory(t), 'socket');
    const launcher = ['sh', '-c', 'umask 077 && exec "$@"', 'sh'];
    const app = await startApp(t, { listen: { path: socket, ...options } }, { launcher });
    t.is(statSync(socket).mode & 0o066, mode);
    await app.end();
  });
}

test('the file of a Unix socket is removed when its workers have been killed', async (t) => {
  const socket = path.join(temporaryDirectory(t), 'socket');
  const app = await startApp(t, { workers: 2, listen: { path: socket } });
  for (const id of [1, 2]) app.send({ do: 'signal', id, signal: 'SIGKILL' });
  await app.linesLike({ on: 'cluster', event: 'exit' }, 2);
  await app.linesLike({ on: 'cluster', event: 'disconnect' }, 2);
  t.is(await connectionError({ path: socket }), 'ENOENT');
  await app.end();
});

async function bindError(t, socket, how) {
  const app = await startApp(t, { workers: 1, listen: [] }, how);
  app.tell(1, { do: 'listen', options: { path: socket } });
  const error = await app.line({ server: 'error' });
  await app.end();
  return error;
}

if (unprivileged) {
  test('a Unix socket in a directory of another user is an error', async (t) => {
    const directory = temporaryDirectory(t);
    chmodSync(directory, 0o555);
    const socket = path.join(directory, 'socket');
    t.like(await bindError(t, socket, { spawn: unprivileged }), {
      code: 'EACCES',
      errno: -os.constants.errno.EACCES,
      syscall: 'bind',
      address: socket,
    });
  });
}

// With the built-in module, versions of Node before 24 cut the path off, and bind another one.
if (!isBuiltin || majorVersion >= 24) {
  test('a Unix socket whose path is always too long is an error', async (t) => {
    const socket = path.join(temporaryDirectory(t), 's'.repeat(108));
    const error = await bindError(t, socket);
    t.like(error, {
      code: isBuiltin ? 'EINVAL' : 'ENAMETOOLONG',
      syscall: 'bind',
      address: socket,
    });
    const longer = path.join(path.dirname(socket), 's'.repeat(100_000));
    t.is((await bindError(t, longer)).code, error.code);
  });
}

// The built-in module creates a file with this name; Node 18 does not support abstract names.
if (!isBuiltin && majorVersion >= 20) {
  for (const name of ['socket', 'é'.repeat(53)]) {
    test(`an abstract Unix socket with ${name.length} letters is shared, and is not a file`, async (t) => {
      const cwd = temporaryDirectory(t);
      const { lines, code } = await run(t, 'listen/abstract-socket', {
        args: [name],
        spawn: { cwd },
      });
      t.is(code, 0);
      const listens = { listens: `\0${name}` };
      t.deepEqual(lines, [listens, listens, { answered: [1, 2] }]);
      t.deepEqual(readdirSync(cwd), []);
    });
  }
}
