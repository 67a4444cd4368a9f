'use strict';

// A server in a worker emits 'close' only after the primary has closed the address. Everything else must be
// as in Node.

const { serial: test } = require('ava');
const { run } = require('../helpers/fixture');

const CLOSED = { event: 'close', context: 'undefined' };
const CALLED = { callback: 'close' };
const ENDED = { code: 0, signal: null };

const SERVERS = ['net', 'http', 'https', 'http2'];
const ALL = [...SERVERS, 'udp4'];
const SCENARIOS = {
  once: [
    ALL,
    ({ isUdp }) => [
      { keys: false, listening: isUdp ? 'undefined' : false },
      { event: 'close', context: 'of close()' },
      CALLED,
      { left: [] },
      { emits: true },
      ENDED,
    ],
  ],
  twice: [
    SERVERS,
    () => [
      CLOSED,
      { callback: 'first', code: 'undefined' },
      { callback: 'second', code: 'ERR_SERVER_NOT_RUNNING' },
      CLOSED,
      ENDED,
    ],
  ],
  'listen at once': [
    ['net', 'http'],
    () => [
      CLOSED,
      { callback: 'close', listening: false },
      { event: 'listening again' },
      CLOSED,
      ENDED,
    ],
  ],
  'with a connection': [
    ['net'],
    () => [
      { connections: 1 },
      CLOSED,
      { callback: 'close', code: 'undefined' },
      { event: 'close of the connection' },
      ENDED,
    ],
  ],
  'with a listener that throws': [
    ALL,
    () => [{ uncaught: 'a listener' }, { event: 'later' }, ENDED],
  ],
  'with an emit of its own': [ALL, () => [{ emitted: 'close' }, CLOSED, { own: true }, ENDED]],
  'wrap emit at once': [ALL, () => [{ emitted: 'close' }, CLOSED, ENDED]],
  unref: [ALL, () => [CLOSED, { event: 'exit' }, ENDED]],
  exit: [ALL, () => [{ ...ENDED, code: 7 }]],
  disconnect: [ALL, () => [CLOSED, CALLED, { event: 'disconnect' }, ENDED]],
};

for (const [scenario, [kinds, expected]] of Object.entries(SCENARIOS)) {
  for (const NODE_CLUSTER_SCHED_POLICY of ['rr', 'none']) {
    test(`a worker observes the close of its server as in Node: ${scenario}, ${NODE_CLUSTER_SCHED_POLICY}`, async (t) => {
      for (const kind of kinds) {
        const env = { NODE_CLUSTER_SCHED_POLICY };
        const { lines, code } = await run(t, 'listen/server-close', {
          args: [scenario, kind],
          env,
        });
        t.is(code, 0);
        t.deepEqual(lines, expected({ isUdp: kind === 'udp4' }), kind);
      }
    });
  }
}
