'use strict';

const { serial: test } = require('ava');
const { freePort } = require('../helpers/free-port');
const { run } = require('../helpers/fixture');
const { isBuiltin } = require('../helpers/implementation');

const CLIENTS = 100;
const ROUNDS = 5;
const RACING = 2_000;
const fewDescriptors = ['sh', '-c', 'ulimit -n 512 && exec "$@"', 'sh'];

async function move(t, name, { clients = CLIENTS, ...options } = {}) {
  const args = [{ port: await freePort(), clients, rounds: ROUNDS }, JSON.stringify(name)];
  // Node 26 reads certificates in a thread, which uses a descriptor for a moment.
  const env = { NODE_EXTRA_CA_CERTS: '' };
  const { lines, code } = await run(t, 'drain/moves', { args, env, ...options });
  t.is(code, 0);
  return lines;
}

// The built-in module can't drain workers.
if (!isBuiltin) {
  test('requests that begin while their connections move are answered once, 10,000 times', async (t) => {
    const lines = await move(t, 'race', { clients: RACING, timeout: 90_000 });
    t.deepEqual(lines, [
      ...Array.from({ length: ROUNDS }, () => ({ served: RACING, cut: 0 })),
      { parked: 0, more: false },
    ]);
  });

  test('connections stay at a worker that has no descriptors, and move when it has', async (t) => {
    const [{ stay }, moved] = await move(t, 'sourceWithoutDescriptors', {
      launcher: fewDescriptors,
      warns: true,
    });
    t.true(stay);
    t.deepEqual(moved, { drained: { cut: 0 }, served: CLIENTS });
  });

  test('connections that the engine has no descriptors for go to a worker at once', async (t) => {
    const options = { launcher: fewDescriptors, warns: true };
    const [moved] = await move(t, 'engineWithoutDescriptors', options);
    t.deepEqual(moved, { drained: { cut: 0 }, served: CLIENTS });
  });

  test('connections of a worker that exits meanwhile are taken when there are descriptors', async (t) => {
    const options = { launcher: fewDescriptors, warns: true };
    const [moved] = await move(t, 'engineWithoutDescriptorsForLong', options);
    t.deepEqual(moved, { drained: { cut: 0 }, served: CLIENTS });
  });

  test('clients wait for a worker that has no descriptors until it has some', async (t) => {
    const options = { launcher: fewDescriptors, warns: true };
    t.deepEqual(await move(t, 'takerWithoutDescriptors', options), [{ served: CLIENTS }]);
  });

  test('a worker that dies at any moment of its drain harms only what it still has', async (t) => {
    const lines = await move(t, 'deaths');
    const left = lines.pop();
    t.deepEqual(left, { parked: 0, workers: 1 });
    t.is(lines.length, 7);
    for (const { ms, cut, others, ends } of lines) {
      t.is(cut, 0, `killed after ${ms} ms`);
      t.true(others, `killed after ${ms} ms`);
      t.true(
        ends.every((end) => ['FIN', 'ECONNRESET', 'EPIPE'].includes(end)),
        `killed after ${ms} ms: ${ends}`,
      );
    }
  });

  test('connections that their clients reset while they move are closed', async (t) => {
    t.deepEqual(await move(t, 'resets'), [{ drained: { cut: 0 } }, { served: CLIENTS / 2 }]);
  });
}
