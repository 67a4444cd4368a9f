'use strict';

const dgram = require('node:dgram');
const { once } = require('node:events');
const { serial: test } = require('ava');
const { isBuiltin } = require('../helpers/implementation');
const { startSupervised } = require('../helpers/supervised');

/** Answers each datagram with its version. */
const answers = (version) => `'use strict';
const socket = require('node:dgram').createSocket('udp4');
socket.on('message', (_, { port, address }) => socket.send('${version}', port, address));
socket.bind(process.argv[2], '127.0.0.1');
`;

/** The versions that answer so many datagrams, which come in bursts: then sleeping workers wake as well. */
async function versions(t, { port, host }, bursts) {
  const socket = dgram.createSocket('udp4').bind(0, host);
  t.teardown(() => socket.close());
  await once(socket, 'listening');
  const seen = [];
  while (bursts > 0) {
    bursts -= 1;
    const all = seen.length + 20;
    const answered = new Promise((resolve) => {
      socket.on('message', (message) => {
        seen.push(`${message}`);
        if (seen.length === all) resolve();
      });
    });
    for (let count = 0; count < 20; count += 1) socket.send('', port, host);
    await answered;
    socket.removeAllListeners('message');
  }
  return new Set(seen);
}

// The built-in module does not supervise.
if (!isBuiltin) {
  for (const policy of ['rr', 'none', 'reuseport']) {
    test(`the canary gets no datagrams during its minUptime, with the policy ${policy}`, async (t) => {
      const app = await startSupervised(t, {
        program: answers('one'),
        options: { workers: 2, minUptime: 4_000 },
        env: { NODE_CLUSTER_SCHED_POLICY: policy },
      });
      app.deploy(answers('two'));
      const reloaded = app.perform('reload');
      await app.linesLike({ on: 'cluster', event: 'listening' }, 3);
      t.deepEqual(await versions(t, app.target, 20), new Set(['one']));
      t.is(app.events('replace', { reason: 'reload' }).length, 0, 'so the test says something');
      await reloaded;
      await app.untilSettled();
      t.deepEqual(await versions(t, app.target, 2), new Set(['two']));
      await app.end();
    });
  }
}
