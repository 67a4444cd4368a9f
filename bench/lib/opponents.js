'use strict';

// The opponents that serve connections: programs of bench/servers, and the binaries that run them.

const { findBun } = require('./bun.js');
const { implementations } = require('./implementations.js');
const { passes } = require('./probe.js');

const BASELINE = 'node:cluster round-robin';
const INDEPENDENT = 'independent reusePort';

/** A checkout of rs-cluster, once for each way in which it distributes connections. */
function policiesOf({ name, implementation }) {
  return [
    { name, implementation, program: 'rs-cluster.js' },
    {
      name: `${name} reusePort`,
      implementation,
      program: 'rs-cluster-reuse-port.js',
      probe: 'reuse-port-policy.js',
      absence: 'this rs-cluster has no SCHED_REUSEPORT',
    },
  ];
}

const OTHERS = [
  { name: BASELINE, program: 'node-cluster-rr.js' },
  { name: 'node:cluster shared', program: 'node-cluster-shared.js' },
  {
    name: INDEPENDENT,
    program: 'reuse-port.js',
    probe: 'reuse-port.js',
    absence: 'this Node or kernel lacks reusePort',
  },
];

async function findOtherRuntime(wanted) {
  const { bun, version, absence } = await findBun(wanted);
  const name = version ? `Bun ${version}` : 'Bun';
  return { name, node: bun, program: 'bun-cluster.js', absence };
}

/** The opponents that can take part here, and the reasons why others can't. */
async function findOpponents({ node, bun, against }) {
  const present = ({ probe }) => !probe || passes(probe, node);
  const other = await findOtherRuntime(bun);
  const own = implementations({ against }).flatMap(policiesOf);
  const all = [...own, ...OTHERS].map((opponent) => ({ ...opponent, node }));
  const opponents = all.filter(present);
  const absent = all.filter((opponent) => !opponents.includes(opponent));
  (other.node ? opponents : absent).push(other);
  return { opponents, skipped: absent.map(({ name, absence }) => `${name}: ${absence}`) };
}

module.exports = { BASELINE, INDEPENDENT, findOpponents };
