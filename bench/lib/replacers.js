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
async function find({ against }, own, until) {
  const ours = implementations({ against }).map(({ name, implementation }) => ({
    name,
    env: { RS_CLUSTER: implementation },
    ...own,
  }));
  const builtin = { name: BASELINE, program: CLUSTER, way: 'disconnect', env: {} };
  const fetched = [];
  for (const it of PACKAGES) fetched.push(await fetchReplacer(it));
  const present = [...ours, builtin, ...fetched.filter(({ absence }) => !absence)];
  const absent = fetched.filter(({ absence }) => absence);
  return {
    opponents: present.map((opponent) => ({ ...opponent, until })),
    skipped: absent.map(({ name, absence }) => `${name}: ${absence}`),
  };
}

/** Opponents that replace all workers, and say when the old ones have exited. */
const findReplacers = (options) => find(options, { program: CLUSTER, way: 'drain' }, 'exit');

/** Opponents that reload the program, each in its own way, and say when the new workers serve. */
const findReloaders = (options) => find(options, { program: 'traffic-supervise.js' }, 'listening');

module.exports = { fetchReplacer, findReloaders, findReplacers };
