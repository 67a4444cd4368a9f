import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import cluster from 'rs-cluster';

const exec = fileURLToPath(new URL('greeter.worker.mjs', import.meta.url));

test.before(() => cluster.setupPrimary({ exec }));
test.after((t) => t.deepEqual(cluster.workers, {}));

for (const name of ['Ada', 'Grace']) {
  test(`${name} is greeted, and the worker leaves`, async (t) => {
    const worker = cluster.fork();
    worker.send(name);
    const [answer] = await once(worker, 'message');
    t.deepEqual(answer, { greeting: `Hello ${name}, from worker ${worker.id}` });
    worker.send(null);
    t.deepEqual(await once(worker, 'exit'), [0, null]);
    t.true(worker.exitedAfterDisconnect);
  });
}

test('a worker that is killed is seen to exit', async (t) => {
  const worker = cluster.fork();
  await once(worker, 'online');
  worker.process.kill('SIGKILL');
  t.deepEqual(await once(worker, 'exit'), [null, 'SIGKILL']);
  t.false(worker.exitedAfterDisconnect);
});
