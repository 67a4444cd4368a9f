'use strict';

const { readFileSync } = require('node:fs');
const ConfigError = require('./config-error.js');

/**
 * The user by name or number.
 *
 * @returns {{ uid: number, gid: number, home: string }}
 * @throws {ConfigError} if the system has none
 */
function findUser(user) {
  const entry = find('/etc/passwd', user);
  if (entry) return { uid: Number(entry[2]), gid: Number(entry[3]), home: entry[5] };
  throw new ConfigError(`uid: there is no user ${user}`);
}

/** @returns {number} */
function findGroup(group) {
  const entry = find('/etc/group', group);
  if (entry) return Number(entry[2]);
  throw new ConfigError(`gid: there is no group ${group}`);
}

function find(file, wanted) {
  const entries = readFileSync(file, 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
  return entries.find(([name, , id]) => name === String(wanted) || id === String(wanted));
}

module.exports = { findGroup, findUser };
