'use strict';

const { once } = require('node:events');
const net = require('node:net');
const test = require('ava');
const { freePort } = require('../helpers/free-port');

test.serial('calls at the same time find different ports', async (t) => {
  const ports = await Promise.all(Array.from({ length: 50 }, () => freePort()));
  t.is(new Set(ports).size, ports.length);
});

test.serial('a port that is in use is left out', async (t) => {
  const before = await freePort();
  const taken = net.createServer().listen(before + 1);
  t.teardown(() => taken.close());
  await once(taken, 'listening');
  const next = await freePort();
  t.true(next > before + 1);
});
