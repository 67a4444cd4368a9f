'use strict';

const { serial: test } = require('ava');
const { run } = require('../helpers/fixture');
const { BUILTIN } = require('../helpers/implementation');

test('a channel has its deprecated names, and they do what they do in Node', async (t) => {
  const look = async (env) => {
    const { lines, code } = await run(t, 'messages/deprecated-names', { env, warns: true });
    t.is(code, 0);
    return ['primary', 'worker'].map((role) => lines.filter((line) => line.role === role));
  };
  const [primary, worker] = await look({ CLUSTER: BUILTIN });
  const [ourPrimary, ourWorker] = await look();
  // The worker has received an answer, and disconnected.
  t.like(primary.at(-1), { connected: false });
  t.like(worker.at(-1), { message: 'back' });
  t.deepEqual(ourPrimary, primary);
  t.deepEqual(ourWorker, worker);
});
