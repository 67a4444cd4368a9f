'use strict';

const { serial: test } = require('ava');
const { run } = require('../helpers/fixture');
const { isBuiltin } = require('../helpers/implementation');

const register = 'rs-cluster/register';

// The reference module does not have to be replaced.
const ways = isBuiltin
  ? { 'no option': [] }
  : { '--require': ['--require', register], '--import': ['--import', register] };

for (const [way, nodeArgs] of Object.entries(ways)) {
  test(`an unmodified application runs on the engine by ${way}`, async (t) => {
    const { lines, code } = await run(t, 'environment/unmodified.mjs', { nodeArgs });
    t.is(code, 0);
    const good = { isOneObject: true, isOurs: !isBuiltin, stale: [] };
    t.deepEqual(lines, [
      { role: 'primary', ...good, roles: [true, true, false] },
      { role: 'worker', ...good, roles: [false, false, true] },
      // The behavior of kill() in the running Node.
      { code: null, signal: 'SIGTERM', exitedAfterDisconnect: false },
    ]);
  });
}

if (!isBuiltin) {
  test('NODE_DEBUG=cluster does not advise registering the engine if it is registered', async (t) => {
    const nodeArgs = ['--require', register];
    const env = { NODE_DEBUG: 'cluster' };
    const { stderr } = await run(t, 'environment/unmodified.mjs', { nodeArgs, env });
    t.regex(stderr, /worker 1 online/);
    t.notRegex(stderr, /rs-cluster\/register/);
  });

  test('threads that do not fork have no descriptors for the engine', async (t) => {
    const counts = [];
    for (const nodeArgs of [[], ['--require', register]]) {
      for (const threads of ['1', '5']) {
        const { lines } = await run(t, 'environment/threads', { args: [threads], nodeArgs });
        counts.push(lines[0].descriptors);
      }
    }
    const [one, five, registeredOne, registeredFive] = counts;
    t.is(registeredFive - registeredOne, five - one);
  });
}
