'use strict';

// The opponents whose primary is replaced: programs of bench/servers, each of which starts one, and replaces it.

const { implementations } = require('./implementations.js');
const { fetchReplacer } = require('./replacers.js');

const PROGRAM = 'traffic-upgrade.js';
const PM2 = {
  name: 'PM2 7 update',
  specifier: 'pm2@7',
  variable: 'PM2',
  program: 'traffic-pm2-update.js',
};

/** The opponents that can take part here, and the reasons why others can't. */
async function findUpgraded({ against }) {
  const ours = implementations({ against }).flatMap(({ name, implementation }) => {
    const own = { program: PROGRAM, env: { RS_CLUSTER: implementation } };
    return [
      { name: `${name} upgrade`, way: 'upgrade', ...own },
      // What requests take anyway.
      { name: `${name}, no upgrade`, way: 'none', ...own },
    ];
  });
  const restart = { name: 'node:cluster stop, start', program: 'traffic-restart.js', env: {} };
  const pm2 = await fetchReplacer(PM2);
  const present = [...ours, restart, pm2].filter(({ absence }) => !absence);
  return {
    opponents: present,
    skipped: pm2.absence ? [`${pm2.name}: ${pm2.absence}`] : [],
  };
}

module.exports = { findUpgraded };
