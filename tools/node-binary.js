'use strict';

const path = require('node:path');
const { versionOf } = require('./node-version.js');
const { fetchPackage } = require('./package.js');

const VERSION = /^\d+(?:\.\d+){0,2}$/;

/**
 * @typedef {object} NodeBinary
 * @property {string} path
 * @property {string} version `20.19.0`
 * @property {number} major
 */

/**
 * @param {string} wanted a path, a version, or the beginning of one: `26`, `24.1`
 * @returns {Promise<NodeBinary>}
 */
async function findNode(wanted) {
  const file = VERSION.test(wanted) ? await nodeOfVersion(wanted) : wanted;
  const version = versionOf(file).replace(/^v/, '');
  return { path: file, version, major: Number.parseInt(version, 10) };
}

async function nodeOfVersion(wanted) {
  if (`${process.versions.node}.`.startsWith(`${wanted}.`)) return process.execPath;
  const name = `node-${process.platform}-${process.arch}`;
  return path.join(await fetchPackage(`${name}@${wanted}`), 'bin', 'node');
}

module.exports = { findNode };
