'use strict';

const path = require('node:path');
const { serial: test } = require('ava');
const { isBuiltin } = require('../helpers/implementation');
const { run } = require('../helpers/fixture');
const { temporaryDirectory } = require('../helpers/temporary');

// The built-in module does not supervise.
if (!isBuiltin) {
  test('supervise() throws where it can not be called, and nothing is left of that', async (t) => {
    const { lines, code } = await run(t, 'supervise/calls');
    t.is(code, 0);
    const by = (title) => lines.find((line) => line.title === title);
    t.like(by('a bad option'), { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' });
    t.like(by('env that throws'), { name: 'RangeError', message: 'no environment' });
    t.like(by('no directory'), { code: 'ENOENT' });
    t.deepEqual(lines.find(({ workers }) => workers)?.workers, []);
    t.is(by('twice').code, 'ERR_RS_CLUSTER_SUPERVISED');
    t.is(by('after it has stopped').code, 'ERR_RS_CLUSTER_SUPERVISED');
    const inWorker = by('in a worker');
    t.is(inWorker.code, 'ERR_RS_CLUSTER_NOT_PRIMARY');
    t.regex(inWorker.message, /cluster\.isPrimary.*exec/);
  });

  test('where the engine refuses, the program has its environment and its sockets back', async (t) => {
    const control = path.join(temporaryDirectory(t), 'control.sock');
    const env = { NOTIFY_SOCKET: '/no/manager' };
    const { lines, code } = await run(t, 'supervise/refused', { args: [control], env });
    t.is(code, 0);
    const [{ code: refusal, before, after, begun }] = lines;
    t.is(refusal, 'EBADF');
    t.like(before, { manager: env.NOTIFY_SOCKET, hasControl: false });
    t.deepEqual(after, before);
    t.like(begun, { manager: null, hasControl: true });
  });

  test('the status can be read when supervise() has returned', async (t) => {
    // Once would be luck.
    for (let i = 0; i < 5; i += 1) {
      const { lines } = await run(t, 'supervise/early-status');
      t.deepEqual(lines, [{ state: 'starting', slots: 1 }]);
    }
  });
}
