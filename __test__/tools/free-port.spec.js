'use strict';

const test = require('ava');
const { freePort } = require('../helpers/free-port');

test('calls at the same time find different ports', async (t) => {
  const ports = await Promise.all(Array.from({ length: 50 }, () => freePort()));
  t.is(new Set(ports).size, ports.length);
});
