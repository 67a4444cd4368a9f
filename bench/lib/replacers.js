'use strict';

// The opponents that replace workers: programs of bench/servers.

const { implementations } = require('./implementations.js');
const { BASELINE } = require('./opponents.js');
const { fetchPackage } = require('../../tools/package.js');

const CLUSTER = 'traffic-cluster.js';

/** Packages that are fetched when the benchmark runs: they are opponents, not dependencies. */
const PACKAGES = [
  { name: 'PM2 7', specifier: 'pm2@7', variable: 'PM2', program: 'traffic-pm2.js' },
  { name: 'throng 5', specifier: 'throng@5', variable: 'THRONG', program: 'traffic-throng.js' },
];

async function fetchReplacer({ name, specifier, variable, program }) {
  try {
    return { name, program, env: { [variable]: await fetchPackage(specifier) } };
  } catch (error) {
    return { name, absence: error.message };
  }
}

/** The opponents that can take part here, and the reasons why others can't. */
async function findReplacers({ against }) {
  const own = implementations({ against }).map(({ name, implementation }) => ({
    name,
    program: CLUSTER,
    way: 'drain',
    env: { RS_CLUSTER: implementation },
  }));
  const builtin = { name: BASELINE, program: CLUSTER, way: 'disconnect', env: {} };
  const fetched = [];
  for (const it of PACKAGES) fetched.push(await fetchReplacer(it));
  const absent = fetched.filter(({ absence }) => absence);
  return {
    opponents: [...own, builtin, ...fetched.filter(({ absence }) => !absence)],
    skipped: absent.map(({ name, absence }) => `${name}: ${absence}`),
  };
}

module.exports = { findReplacers };
