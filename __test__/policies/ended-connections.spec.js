'use strict';

const { serial: test } = require('ava');
const { run } = require('../helpers/fixture');
const { isBuiltin } = require('../helpers/implementation');

const CONNECTIONS = 4_000;
// Measured: 1.02 to 1.11 on Node 20 to 26; where ended connections stay, 1.6.
const MOST = 1.3;

/** By how many bytes the memory of a worker has grown for each connection. */
async function grownBy(t, env) {
  const { lines, code } = await run(t, 'policies/ended-connections', {
    args: [`${CONNECTIONS}`],
    env,
  });
  t.is(code, 0);
  return lines[0].grown;
}

if (!isBuiltin) {
  test('V8 frees connections that have ended as early as those of node:cluster', async (t) => {
    const ours = await grownBy(t);
    const nodes = await grownBy(t, { CLUSTER: 'node:cluster' });
    t.true(ours < nodes * MOST, `${ours} bytes for each connection, and ${nodes} of Node`);
  });
}
