'use strict';

const { serial: test } = require('ava');
const { startApp } = require('../helpers/app');
const { countAnswers, get } = require('../helpers/client');
const { start } = require('../helpers/fixture');
const { isBuiltin } = require('../helpers/implementation');
const { becomesTrue } = require('../../tools/process-group');

// `KILLS=10000 npx ava --timeout=1h __test__/faults/killed-under-load.spec.js` takes half an hour.
const KILLS = Number(process.env.KILLS ?? 60);
const CLIENTS = 8;
// How long the engine may take to close its descriptors of connections that are over.
const CLOSED_WITHIN = 5_000;

test('a request succeeds right after a worker was killed', async (t) => {
  const app = await startApp(t, { workers: 2 });
  for (let id = 1; id <= 5; id += 1) {
    app.send({ do: 'signal', id, signal: 'SIGKILL' });
    await app.line({ on: 'cluster', event: 'exit', id });
    t.deepEqual(await countAnswers(app.target, 4), { [id + 1]: 4 });
    app.send({ do: 'fork' });
    await app.line({ on: 'cluster', event: 'listening', id: id + 2 });
  }
  await app.end();
});

// With the built-in module, a client hangs as soon as a worker dies with its connection.
if (!isBuiltin) {
  for (const policy of ['SCHED_RR', 'SCHED_REUSEPORT']) {
    test(`no client hangs while workers are killed under load: ${policy}`, async (t) => {
      const timeout = 60_000 + KILLS * 200;
      t.timeout(timeout);
      const program = start(t, 'faults/killed-under-load', {
        args: [{ workers: 3, policy, kills: KILLS }],
        timeout,
      });
      const { port, descriptors } = await program.line({});
      const counts = { answered: 0, reset: 0 };
      let isOver = false;
      const connect = async () => {
        while (!isOver) {
          try {
            await get({ port, host: '127.0.0.1' });
            counts.answered += 1;
          } catch (error) {
            // A killed worker had begun to serve the connection.
            t.is(error.code, 'ECONNRESET');
            counts.reset += 1;
          }
        }
      };
      const clients = Array.from({ length: CLIENTS }, connect);
      await program.line({ killed: KILLS });
      isOver = true;
      await Promise.all(clients);
      t.log(counts);
      t.true(counts.answered > 0);
      // The engine may still be closing connections that the last workers had.
      let now;
      const hasNoMore = async () => {
        program.send({});
        const counted = program.seen({ counted: true }).length;
        const lines = await program.linesLike({ counted: true }, counted + 1);
        now = lines.at(-1).descriptors;
        return now <= descriptors;
      };
      t.true(await becomesTrue(hasNoMore, CLOSED_WITHIN), `${now} descriptors, not ${descriptors}`);
      await program.end();
    });
  }
}
