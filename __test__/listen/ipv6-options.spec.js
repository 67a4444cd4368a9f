'use strict';

const { networkInterfaces } = require('node:os');
const { serial: test } = require('ava');
const { run } = require('../helpers/fixture');
const { BUILTIN } = require('../helpers/implementation');

/** Finds a link-local address of this machine, without its zone, and its interface; undefined without one. */
function findLinkLocal() {
  for (const [name, addresses] of Object.entries(networkInterfaces())) {
    const found = addresses.find(({ address }) => address.startsWith('fe80:'));
    if (found) return { address: found.address, name, index: found.scopeid };
  }
  return undefined;
}

/** Makes the requests under each policy; the results must be those of the built-in module. */
async function compare(t, requests) {
  for (const policy of ['rr', 'none']) {
    const look = async (env) => {
      const how = { args: [requests], env: { NODE_CLUSTER_SCHED_POLICY: policy, ...env } };
      const { lines, code } = await run(t, 'listen/ipv6-options', how);
      t.is(code, 0);
      return lines;
    };
    const expected = await look({ CLUSTER: BUILTIN });
    t.is(expected.length, requests.length);
    t.deepEqual(await look(), expected);
  }
}

test('ipv6Only is refused where Node refuses it', async (t) => {
  await compare(t, [
    ['udp4', { address: '127.0.0.1', ipv6Only: true }],
    ['udp4', { ipv6Only: true }],
    ['udp6', { address: '::1', ipv6Only: true }],
    ['net', { host: '127.0.0.1', ipv6Only: true }],
    ['net', { host: '::1', ipv6Only: true }],
    ['net', { ipv6Only: true }],
  ]);
});

test('an invalid or useless zone has the same effect as in Node', async (t) => {
  const hosts = ['::1%1', '::1%none', 'fe80::1%1', 'fe80::1%none', '::ffff:127.0.0.1'];
  await compare(t, [
    ...hosts.map((host) => ['net', { host }]),
    ...hosts.map((address) => ['udp6', { address }]),
  ]);
});

const linkLocal = findLinkLocal();
if (linkLocal) {
  test('a link-local address has the zone that Node gives it', async (t) => {
    const { address, name, index } = linkLocal;
    const hosts = [
      `${address}%${name}`,
      `${address}%${index}`,
      address,
      `${address}%1`,
      `${address}%none`,
      `${address}%${name.toUpperCase()}`,
    ];
    await compare(t, [
      ...hosts.map((host) => ['net', { host }]),
      ...hosts.map((host) => ['udp6', { address: host }]),
    ]);
  });
}
