'use strict';

const { mkdirSync, writeFileSync } = require('node:fs');
const path = require('node:path');
const test = require('ava');
const countProcessors = require('../../lib/supervisor/processors.js');
const { temporaryDirectory } = require('../helpers/temporary');

/** Counts in a file system with these files. */
function count(t, files) {
  const root = temporaryDirectory(t);
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(root, name)), { recursive: true });
    writeFileSync(path.join(root, name), text);
  }
  return countProcessors(root);
}

const EIGHT = { 'proc/self/status': 'Name:\tnode\nCpus_allowed_list:\t0-3,8-10,16\n' };
const V2 = { ...EIGHT, 'proc/self/cgroup': '0::/a/b\n' };
const V1 = { ...EIGHT, 'proc/self/cgroup': '5:memory:/c\n3:cpu,cpuacct:/c\n0::/\n' };

test('those count that the process may run on', (t) => {
  t.is(count(t, EIGHT), 8);
});

test('without files of the system Node is asked', (t) => {
  t.true(count(t, {}) >= 1);
});

test('a quota is rounded up', (t) => {
  t.is(count(t, { ...V2, 'sys/fs/cgroup/a/b/cpu.max': '250000 100000\n' }), 3);
  t.is(count(t, { ...V2, 'sys/fs/cgroup/a/b/cpu.max': '10000 100000\n' }), 1);
});

test('a quota of a group above counts too', (t) => {
  const files = { ...V2, 'sys/fs/cgroup/a/b/cpu.max': 'max 100000\n' };
  t.is(count(t, files), 8);
  t.is(count(t, { ...files, 'sys/fs/cgroup/a/cpu.max': '200000 100000\n' }), 2);
  // What a container sees as its own group, by the path that the host knows it by.
  t.is(count(t, { ...files, 'sys/fs/cgroup/cpu.max': '400000 100000\n' }), 4);
});

test('a quota of version 1 counts', (t) => {
  const folder = 'sys/fs/cgroup/cpu,cpuacct/c';
  const files = { ...V1, [`${folder}/cpu.cfs_period_us`]: '100000\n' };
  t.is(count(t, { ...files, [`${folder}/cpu.cfs_quota_us`]: '150000\n' }), 2);
  t.is(count(t, { ...files, [`${folder}/cpu.cfs_quota_us`]: '-1\n' }), 8);
});

test('a quota of more than there is changes nothing', (t) => {
  t.is(count(t, { ...V2, 'sys/fs/cgroup/a/b/cpu.max': '3200000 100000\n' }), 8);
});
