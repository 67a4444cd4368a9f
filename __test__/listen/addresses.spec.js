'use strict';

const { serial: test } = require('ava');
const { HOST, startApp } = require('../helpers/app');
const { askEach, connectionError, countAnswers, get } = require('../helpers/client');

/** Resolves to the value of `server.address()` in each worker. */
const addresses = async (app, workers) =>
  (await app.linesLike({ server: 'listening' }, workers)).map(({ at }) => at);

const families = [
  ['an IPv4 address', { host: '127.0.0.1' }, ['127.0.0.1'], ['::1']],
  ['an IPv6 address', { host: '::1' }, ['::1'], ['127.0.0.1']],
  ['all addresses', {}, ['127.0.0.1', '::1'], []],
  ['all IPv4 addresses', { host: '0.0.0.0' }, ['127.0.0.1'], ['::1']],
  ['all addresses, ipv6Only', { host: '::', ipv6Only: true }, ['::1'], ['127.0.0.1']],
];
for (const [name, listen, reached, refused] of families) {
  test(`workers that listen on ${name} can be reached there, and only there`, async (t) => {
    const app = await startApp(t, { workers: 2, listen: { port: 0, ...listen } });
    const { port } = app.target;
    for (const host of reached) {
      await t.notThrowsAsync(askEach({ host, port }, [1, 2]), host);
    }
    for (const host of refused) {
      t.is(await connectionError({ host, port }), 'ECONNREFUSED', host);
    }
    await app.end();
  });
}

test('a host name is resolved', async (t) => {
  const app = await startApp(t, { workers: 2, listen: { port: 0, host: 'localhost' } });
  const { port, address } = (await addresses(app, 1))[0];
  t.true(['127.0.0.1', '::1'].includes(address));
  await askEach({ host: address, port }, [1, 2]);
  await app.end();
});

test('port 0 is the same random port in all workers, and address() returns it', async (t) => {
  const app = await startApp(t, { workers: 3 });
  const { port } = app.target;
  t.deepEqual(await addresses(app, 3), Array(3).fill({ address: HOST, family: 'IPv4', port }));
  await app.end();
});

test('a worker that is forked later gets the same random port', async (t) => {
  const app = await startApp(t, { workers: 1 });
  app.send({ do: 'fork' });
  const { at } = await app.line({ server: 'listening', id: 2 });
  t.is(at.port, app.target.port);
  await app.end();
});

test('the second port 0 of a worker is another port, again the same in all workers', async (t) => {
  const any = { port: 0, host: HOST };
  const app = await startApp(t, { workers: 2, listen: [any, any] });
  const ports = [0, 1].map(async (index) => {
    const lines = await app.linesLike({ server: 'listening', index }, 2);
    return lines.map(({ at }) => at.port);
  });
  const [first, second] = await Promise.all(ports);
  t.is(first[0], first[1]);
  t.is(second[0], second[1]);
  t.not(first[0], second[0]);
  for (const port of [first[0], second[0]]) await askEach({ host: HOST, port }, [1, 2]);
  await app.end();
});

test('closing one of two servers leaves the other one open', async (t) => {
  const any = { port: 0, host: HOST };
  const app = await startApp(t, { workers: 1, listen: [any, any] });
  const ports = [0, 1].map(async (index) => (await app.line({ index, id: 1 })).at.port);
  const [first, second] = await Promise.all(ports);
  app.tell(1, { do: 'close', index: 0 });
  await app.line({ server: 'closed', index: 0 });
  t.is((await get({ host: HOST, port: second })).id, 1);
  t.is(await connectionError({ host: HOST, port: first }), 'ECONNREFUSED');
  await app.end();
});

test('an address is free as soon as its last server has closed', async (t) => {
  const app = await startApp(t, { workers: 1 });
  app.tell(1, { do: 'close', index: 0 });
  await app.line({ server: 'closed', index: 0 });
  app.tell(1, { do: 'relisten', index: 0, options: app.target });
  await app.linesLike({ server: 'listening', index: 0 }, 2);
  t.is((await get(app.target)).id, 1);
  await app.end();
});

test('an exclusive server is bound only in its worker', async (t) => {
  const app = await startApp(t, { workers: 2 });
  const options = { port: 0, host: HOST, exclusive: true };
  for (const id of [1, 2]) app.tell(id, { do: 'listen', options });
  const lines = await app.linesLike({ server: 'listening', index: 1 }, 2);
  t.not(lines[0].at.port, lines[1].at.port);
  for (const { id, at } of lines) {
    t.deepEqual(await countAnswers({ host: HOST, port: at.port }, 4), { [id]: 4 });
    // Disconnecting closes only shared servers, so this one has to close itself.
    app.tell(id, { do: 'close', index: 1 });
  }
  await app.end();
});
