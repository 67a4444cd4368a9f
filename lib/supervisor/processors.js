'use strict';

const { readFileSync } = require('node:fs');
const os = require('node:os');
const path = require('node:path');

// Where the control groups are: of version 2, of version 2 beside version 1, and of version 1.
const UNIFIED = ['sys/fs/cgroup', 'sys/fs/cgroup/unified'];
const LEGACY = ['sys/fs/cgroup/cpu,cpuacct', 'sys/fs/cgroup/cpu'];

/**
 * How many workers this process has processors for: those that it may run on, but no more than its control
 * group has time for; at least one.
 *
 * @param {string} root of the file system, for tests
 */
function countProcessors(root = '/') {
  const usable = countAffine(root) ?? os.availableParallelism?.() ?? os.cpus().length;
  return Math.max(1, Math.min(usable, Math.ceil(quotaOf(root))));
}

/**
 * How many processors this process may run on; undefined where the system has no such file. Newer versions of
 * Node round a quota down, and `os.availableParallelism()` takes it into account.
 */
function countAffine(root) {
  const [, list] = /^Cpus_allowed_list:\s*(\S+)/m.exec(read(root, 'proc/self/status') ?? '') ?? [];
  return list?.split(',').reduce((sum, range) => {
    const [first, last = first] = range.split('-').map(Number);
    return sum + last - first + 1;
  }, 0);
}

/** How many processors' time the control group of this process, and those above it, may use. */
function quotaOf(root) {
  const quotas = (read(root, 'proc/self/cgroup') ?? '').split('\n').flatMap((line) => {
    const [, controllers, group] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (controllers === '') return above(group).map((folder) => unifiedQuota(root, folder));
    if (!controllers?.split(',').includes('cpu')) return [];
    return above(group).map((folder) => legacyQuota(root, folder));
  });
  return Math.min(...quotas);
}

/** The group and those above it. A container may see its own group by the path that the host knows it by. */
function above(group) {
  const folder = path.resolve('/', group);
  return folder === '/' ? ['/'] : [folder, ...above(path.dirname(folder))];
}

function unifiedQuota(root, folder) {
  const given = firstOf(root, UNIFIED, folder, 'cpu.max');
  const [quota, period] = (given ?? '').trim().split(' ').map(Number);
  return ratio(quota, period);
}

function legacyQuota(root, folder) {
  const quota = firstOf(root, LEGACY, folder, 'cpu.cfs_quota_us');
  return ratio(Number(quota ?? -1), Number(firstOf(root, LEGACY, folder, 'cpu.cfs_period_us')));
}

/** Infinity where there is no quota: 'max' in version 2, -1 in version 1. */
function ratio(quota, period) {
  return quota > 0 && period > 0 ? quota / period : Number.POSITIVE_INFINITY;
}

function firstOf(root, places, folder, name) {
  for (const place of places) {
    const text = read(root, place, folder, name);
    if (text !== undefined) return text;
  }
  return undefined;
}

function read(...names) {
  try {
    return readFileSync(path.join(...names), 'utf8');
  } catch {
    return undefined;
  }
}

module.exports = countProcessors;
