import { once } from 'node:events';
import http from 'node:http';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import cluster from 'rs-cluster';

const exec = fileURLToPath(new URL('web.worker.mjs', import.meta.url));

async function get(port) {
  const [response] = await once(http.get({ port, agent: false }), 'response');
  const [text] = await response.setEncoding('utf8').toArray();
  return text;
}

test('every worker answers, until all are disconnected', async (t) => {
  cluster.setupPrimary({ exec });
  const workers = [cluster.fork(), cluster.fork()];
  const [[{ port }]] = await Promise.all(workers.map((worker) => once(worker, 'listening')));
  const ids = new Set();
  while (ids.size < 2) ids.add(await get(port));
  t.deepEqual([...ids].sort(), ['1', '2']);

  const exits = workers.map((worker) => once(worker, 'exit'));
  await new Promise((resolve) => cluster.disconnect(resolve));
  await t.throwsAsync(get(port), { code: 'ECONNREFUSED' });
  t.deepEqual(await Promise.all(exits), [
    [0, null],
    [0, null],
  ]);
});
