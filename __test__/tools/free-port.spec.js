'use strict';

const { once } = require('node:events');
const net = require('node:net');
const test = require('ava');
const { freePort } = require('../helpers/free-port');

/** Takes the port until the end of the test, unless it is in use. */
async function takes(t, port) {
  const server = net.createServer().listen(port);
  t.teardown(() => server.close());
  try {
    await once(server, 'listening');
    return true;
  } catch (error) {
    if (error.code !== 'EADDRINUSE') throw error;
    return false;
  }
}

test.serial('calls at the same time find different ports', async (t) => {
  const ports = await Promise.all(Array.from({ length: 50 }, () => freePort()));
  t.is(new Set(ports).size, ports.length);
});

test.serial('a port that is in use is left out', async (t) => {
  // Another process may have a port by then.
  let taken;
  do taken = (await freePort()) + 1;
  while (!(await takes(t, taken)));
  t.not(await freePort(), taken);
});
