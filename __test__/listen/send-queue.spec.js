'use strict';

const { spawnSync } = require('node:child_process');
const { serial: test } = require('ava');
const { startApp } = require('../helpers/app');

/** The Send-Q of a listening socket: how many connections the kernel holds for it. */
function queueOf(port) {
  const { stdout } = spawnSync('ss', ['-Hltn', `sport = :${port}`], { encoding: 'utf8' });
  return Number(stdout.trim().split(/\s+/)[2]);
}

if (spawnSync('ss', ['-V']).status === 0) {
  for (const [policy, way] of Object.entries({
    rr: 'the primary accepts',
    none: 'all workers accept',
  })) {
    for (const [name, listen, expected] of [
      ['the backlog that the server asks for', { backlog: 127 }, 127],
      ['the backlog that Node asks for otherwise', {}, 511],
    ]) {
      test(`the kernel holds ${name} for a socket from which ${way}`, async (t) => {
        const address = { port: 0, host: '127.0.0.1', ...listen };
        const env = { NODE_CLUSTER_SCHED_POLICY: policy };
        const app = await startApp(t, { workers: 2, listen: address }, { env });
        t.is(queueOf(app.target.port), expected);
        await app.end();
      });
    }
  }
}
