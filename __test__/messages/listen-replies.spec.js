'use strict';

const { serial: test } = require('ava');
const { run } = require('../helpers/fixture');

const SCENARIOS = {
  'a message behind a disconnect': [{ connected: false, exitedAfterDisconnect: true }],
  'two replies': [
    { code: 'EADDRNOTAVAIL', state: 'online' },
    { event: 'listening' },
    { state: 'online' },
  ],
  'a reply and a message': [{ event: 'message' }, { event: 'listening' }, { event: 'next turn' }],
  'a reply behind many messages': [{ event: 'listening', messages: 51 }],
};

for (const [scenario, expected] of Object.entries(SCENARIOS)) {
  test(`a worker sees replies to listen() and messages in Node's order: ${scenario}`, async (t) => {
    const { lines, code } = await run(t, 'messages/listen-replies', { args: [scenario] });
    t.is(code, 0);
    t.deepEqual(lines, expected);
  });
}
