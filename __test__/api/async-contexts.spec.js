'use strict';

const { serial: test } = require('ava');
const { run } = require('../helpers/fixture');
const { isBuiltin } = require('../helpers/implementation');
const { temporaryDirectory } = require('../helpers/temporary');
const { majorVersion } = require('../helpers/version');

const POLICIES = isBuiltin ? ['rr'] : ['rr', 'least-connections', 'source-hash', 'reuseport'];
// Before Node 24, a store that a listener enters stays with the object that emitted the event: Node's own
// sockets keep it for their later events.
const STAYS = majorVersion < 24;
/** What the fixture reports where there is no store. */
const NONE = '-';

const each = (events, store) => Object.fromEntries(events.map((event) => [event, store]));
const numbered = (count, toEntry) =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => toEntry(index + 1)));

const MESSAGES = ['message 1', 'message 2', 'message 3'];
const INTERNAL = ['internal 1', 'internal 2', 'internal 3'];
const HANDLES = ['socket 1', 'socket 2', 'native', 'udp'];
const DATA = ['socket 1 data', 'socket 2 data'];

const lifeOf = (id) => ({
  ...each(
    [`cluster online ${id}`, `cluster listening ${id}`, `cluster message ${id}`],
    `fork ${id}`,
  ),
  ...each([`cluster disconnect ${id}`, `cluster exit ${id}`, `worker online ${id}`], `fork ${id}`),
  ...each([`worker listening ${id}`, `worker message ${id}`, `worker exit ${id}`], `fork ${id}`),
  ...each([`worker disconnect ${id}`, `process spawn ${id}`, `process exit ${id}`], `fork ${id}`),
  ...each([`process message ${id}`, `process disconnect ${id}`], `fork ${id}`),
  [`process close ${id}`]: `fork ${id}`,
});

/** The stores that each event in each role sees, by scenario; several stores are in alphabetical order. */
const TABLE = {
  life: {
    primary: { setup: 'fork 1, fork 2', fork: 'fork 1, fork 2', ...lifeOf(1), ...lifeOf(2) },
  },
  'messages to the primary': { primary: each([...MESSAGES, ...INTERNAL], 'fork') },
  'messages to a worker': { worker: each([...MESSAGES, ...INTERNAL], NONE) },
  'handles to the primary': {
    primary: { ...each([...HANDLES, 'server'], 'fork'), ...each(DATA, NONE) },
  },
  'handles to a worker': { worker: each([...HANDLES, ...DATA], NONE) },
  'send() in the primary': { primary: numbered(20, (n) => [`sent ${n}`, `call ${n}`]) },
  'send() in a worker': { worker: numbered(20, (n) => [`sent ${n}`, `call ${n}`]) },
  'send() after the end': {
    primary: { 'refused 1': 'call 1', 'refused 2': 'call 2', error: 'call' },
  },
  'a worker that can not be started': { primary: { 'error 1': 'fork 1', 'error 2': 'fork 2' } },
  listening: {
    worker: {
      ...each(['listening', 'callback of listen', 'error EADDRINUSE', 'callback of bind'], NONE),
      'callback of close': 'close',
      // The callback of bind was called in the same event.
      closed: 'left by callback of bind',
    },
  },
  'disconnect() of the primary': {
    primary: each(['callback', 'disconnect'], 'fork'),
    worker: { disconnect: NONE },
  },
  'disconnect() without workers': { primary: { callback: 'call' } },
  'disconnect() of a worker': {
    primary: { disconnect: 'fork' },
    worker: { 'server close': 'call', disconnect: NONE },
  },
  'process.disconnect()': { primary: { disconnect: 'fork' }, worker: { disconnect: 'call' } },
  'worker.process.disconnect()': {
    primary: { disconnect: 'call' },
    worker: { disconnect: NONE },
  },
  'sockets of a server': {
    primary: each(['callback of getConnections', 'callback of close'], 'fork'),
  },
  datagrams: {
    worker: numbered(3, (n) => [
      `datagram ${n}`,
      STAYS && n > 1 ? `left by datagram ${n - 1}` : NONE,
    ]),
  },
};

const LEFT_BY_REQUEST = STAYS ? 'left by a request' : NONE;

const CONNECTIONS = {
  ...numbered(3, (n) => [`connection ${n}`, NONE]),
  ...numbered(3, (n) => [`connection ${n} data`, NONE]),
  ...numbered(3, (n) => [`connection ${n} close`, NONE]),
};

const REQUESTS = {
  ...numbered(3, (n) => [`connection ${n}`, NONE]),
  ...each(['request a', 'request a data'], NONE),
  ...each(['request a end', 'request a finish'], LEFT_BY_REQUEST),
  // The second request, on the same connection.
  ...each(['request b', 'request b data', 'request b end', 'request b finish'], LEFT_BY_REQUEST),
};

async function look(t, scenario, options = {}) {
  const args = [scenario, temporaryDirectory(t)];
  const { lines, code } = await run(t, 'api/async-contexts', { args, ...options });
  t.is(code, 0);
  return lines;
}

async function check(t, scenario, expected, options) {
  const stores = {};
  for (const { role, event, store } of await look(t, scenario, options)) {
    stores[role] ??= {};
    stores[role][event] ??= new Set();
    stores[role][event].add(store);
  }
  const listed = ([event, found]) => [event, [...found].sort().join(', ')];
  for (const [role, found] of Object.entries(stores)) {
    stores[role] = Object.fromEntries(Object.entries(found).map(listed));
  }
  t.deepEqual(stores, expected);
}

for (const [scenario, expected] of Object.entries(TABLE)) {
  test(`each event has the context that it has in Node: ${scenario}`, check, scenario, expected);
}

for (const policy of POLICIES) {
  const options = { env: { NODE_CLUSTER_SCHED_POLICY: policy } };
  test(`each connection has its own context under ${policy}`, async (t) => {
    await check(t, 'connections', { worker: CONNECTIONS }, options);
  });

  test(`requests on different connections share no context under ${policy}`, async (t) => {
    await check(t, 'requests', { worker: REQUESTS }, options);
  });
}

test("connections of a shared socket have the context that Node's own sockets give them", async (t) => {
  const options = { env: { NODE_CLUSTER_SCHED_POLICY: 'none' } };
  const left = (n) => (STAYS && n > 1 ? `left by connection ${n - 1}` : NONE);
  const worker = { ...CONNECTIONS, ...numbered(3, (n) => [`connection ${n}`, left(n)]) };
  await check(t, 'connections', { worker }, options);
});

// A flag of Node decides where a store is kept: by async hooks, or in the running context frame.
const [OTHER_WAY] = [
  majorVersion === 22 && '--experimental-async-context-frame',
  majorVersion >= 24 && '--no-async-context-frame',
].filter(Boolean);
if (OTHER_WAY) {
  for (const role of ['worker', 'primary']) {
    const scenario = `messages to ${role === 'worker' ? 'a worker' : 'the primary'}`;
    test(`each event has its context under ${OTHER_WAY}: ${scenario}`, async (t) => {
      await check(t, scenario, TABLE[scenario], { nodeArgs: [OTHER_WAY] });
    });
  }
}

test('messages that are read in one turn have different async ids for async hooks', async (t) => {
  t.deepEqual(await look(t, 'ids of events'), [{ role: 'worker', ids: 3 }]);
});

// The built-in module loses messages for which there is no listener yet.
if (!isBuiltin) {
  test('messages that have waited for a listener have the context of messages', async (t) => {
    await check(t, 'kept messages', { worker: each(MESSAGES, NONE) });
  });
}
