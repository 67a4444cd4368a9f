'use strict';

// How a worker that drains ends the connections that are its program's own.

const test = require('ava');
const { startDrainApp } = require('../helpers/drain-app.js');
const { connect } = require('../helpers/http-client.js');

const TIMEOUT = 3000;
// When the last third of the time begins, as clients see it: they do not learn when it was that the order came.
const LAST_THIRD = 1900;
const COUNT = 8;

const UPGRADE = { Upgrade: 'echo', Connection: 'Upgrade' };

const OPEN = {
  net: { kind: 'net', open: (client) => client.write('hello').text('hello') },
  tls: { kind: 'tls', secure: true, open: (client) => client.write('hello').text('hello') },
  'upgraded http': {
    kind: 'http',
    open: (client) => client.send('/', UPGRADE).write('hello').text('hello'),
  },
  'upgraded https': {
    kind: 'https',
    secure: true,
    open: (client) => client.send('/', UPGRADE).write('hello').text('hello'),
  },
};

for (const [what, { kind, secure, open }] of Object.entries(OPEN)) {
  test(`sockets are told, and end one after the other in the last third of the time: ${what}`, async (t) => {
    const app = await startDrainApp(t, { kind });
    const clients = [];
    for (let i = 0; i < COUNT; i += 1) clients.push(await connect(app.target, { secure }));
    await Promise.all(clients.map(open));
    const start = Date.now();
    await app.drain(1, { timeout: TIMEOUT });
    const times = await Promise.all(
      clients.map(async (client) => {
        await client.end();
        return Date.now() - start;
      }),
    );
    t.deepEqual(
      clients.map(({ error }) => error),
      Array(COUNT).fill(undefined),
    );
    times.sort((a, b) => a - b);
    t.true(times[0] > LAST_THIRD, `${times}`);
    t.true(times.at(-1) - times[0] > 300, `${times}`);
    t.is(await app.drained(1), 0);
    await app.end();
  });

  test(`sockets are counted as cut if they are open when the time is over: ${what}`, async (t) => {
    const app = await startDrainApp(t, { kind });
    const client = await connect(app.target, { secure, halfOpen: true });
    await open(client);
    await app.drain(1, { timeout: 600 });
    t.is(await app.drained(1), 1);
    client.destroy();
    await app.end();
  });
}

test('the program may end its sockets when it is told', async (t) => {
  const app = await startDrainApp(t, { kind: 'net', onDraining: 'end' });
  const client = await connect(app.target);
  await client.write('hello').text('hello');
  await app.drain(1);
  await client.text('bye');
  await client.end();
  t.is(await app.drained(1), 0);
  await app.end();
});
