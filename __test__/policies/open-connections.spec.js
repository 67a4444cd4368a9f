'use strict';

const path = require('node:path');
const { serial: test } = require('ava');
const { run } = require('../helpers/fixture');
const { isBuiltin } = require('../helpers/implementation');
const { temporaryDirectory } = require('../helpers/temporary');
const { majorVersion } = require('../helpers/version');

const CONNECTIONS = 40;

const WAYS = {
  end: 'ended',
  destroy: 'destroyed',
  resetAndDestroy: 'reset',
  'both, twice': 'reset and closed several times',
  'close of the handle': 'closed by its handle',
  detach: 'detached, and closed later',
  'send away': 'sent to another process',
  'destroy in a paused server': 'destroyed without having been read',
  'throw at connection': "left over by a listener of 'connection' that throws",
  'throw at data': 'closed by the client after a listener has thrown',
  drop: 'dropped by its server',
  http: 'closed by an HTTP server',
  upgrade: 'upgraded, and ended',
  tls: 'closed by a TLS server',
};
// Versions of Node before 26 can't move sockets to threads.
if (majorVersion >= 26) WAYS['move to a thread'] = 'moved to another thread';

/** Checks that all connections are counted as ended, and that each worker gets its share. */
async function check(t, ...args) {
  const { lines, code } = await run(t, 'policies/open-connections', { args });
  t.is(code, 0);
  for (const served of lines[0].served) {
    t.true(served >= CONNECTIONS / 4, `of ${CONNECTIONS} connections one got ${served}`);
  }
}

// The built-in module does not count connections.
if (!isBuiltin) {
  for (const [way, participle] of Object.entries(WAYS)) {
    test(`a connection that is ${participle} counts as ended`, check, way, `${CONNECTIONS}`);
  }

  for (const way of ['end', 'destroy', 'throw at connection', 'send away']) {
    test(`a connection to a Unix socket that is ${WAYS[way]} counts as ended`, async (t) => {
      const unixPath = path.join(temporaryDirectory(t), 'socket');
      await check(t, way, `${CONNECTIONS}`, unixPath);
    });
  }
}
