'use strict';

/** What the tests of deployments start: Debian's packages, as `debian-packages.js` describes them. */
const DEPLOY_PROGRAMS = [
  { name: 'chromium', programs: ['chromium|chromium-browser|google-chrome'] },
  { name: 'haproxy' },
  { name: 'nginx' },
  { name: 'prometheus', programs: ['promtool'] },
  { name: 'python3-venv', command: ['python3', '-c', 'import ensurepip, venv'] },
  { name: 'redis-server' },
  { name: 'systemd', programs: ['systemd-analyze'] },
  { name: 'tini' },
  { name: 'util-linux', programs: ['nsenter', 'taskset', 'unshare'] },
];

module.exports = { DEPLOY_PROGRAMS };
