'use strict';

const path = require('node:path');
const { serial: test } = require('ava');
const { checkTurns, startApp } = require('../helpers/app');
const { countAnswers, get } = require('../helpers/client');
const { isBuiltin } = require('../helpers/implementation');
const { temporaryDirectory } = require('../helpers/temporary');

const SOURCE_HASH = 4;

if (!isBuiltin) {
  const startHashed = (t, listen) =>
    startApp(t, { workers: 3, policies: [SOURCE_HASH, SOURCE_HASH], listen });

  test('the clients of an address stay with one worker, other clients go to other workers', async (t) => {
    const app = await startHashed(t, { port: 0, host: '127.0.0.1' });
    const addresses = Array.from({ length: 20 }, (_, index) => `127.0.0.${index + 1}`);
    const ask = async () => {
      const ids = [];
      for (const localAddress of addresses) {
        ids.push((await get(app.target, { localAddress })).id);
      }
      return ids;
    };
    const before = await ask();
    t.is(new Set(before).size, 3);
    t.deepEqual(await ask(), before);
    app.send({ do: 'signal', id: 2, signal: 'SIGKILL' });
    await app.line({ on: 'cluster', event: 'exit', id: 2 });
    const after = await ask();
    for (const [index, id] of after.entries()) {
      if (before[index] === 2) t.not(id, 2);
      else t.is(id, before[index]);
    }
    await app.end();
  });

  test('an IPv4 client of an IPv6 server has an address as well', async (t) => {
    const app = await startHashed(t, { port: 0 });
    const target = { ...app.target, host: '127.0.0.1' };
    t.is(Object.keys(await countAnswers(target, 10)).length, 1);
    await app.end();
  });

  test('clients of a Unix socket have no address, and go to the workers in turn', async (t) => {
    const socketPath = path.join(temporaryDirectory(t), 'socket');
    const app = await startHashed(t, { path: socketPath });
    await checkTurns(t, app, { 1: 3, 2: 3, 3: 3 });
    await app.end();
  });
} else {
  test('the built-in module does not have this policy', (t) => {
    t.is(require('node:cluster').SCHED_SOURCE_HASH, undefined);
  });
}
