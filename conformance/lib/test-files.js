'use strict';

const { existsSync, readFileSync, readdirSync } = require('node:fs');
const path = require('node:path');
const { UserError } = require('../../tools/user-error.js');

// Both patterns are as in upstream's test/testpy/__init__.py.
const TEST = /^test-.*\.m?js$/;
const FLAGS = /\/\/\s+Flags:(.*)/;

const TOPIC = 'cluster';

/**
 * A test file of a Node source tree.
 *
 * @typedef {object} TestFile
 * @property {string} label `parallel/test-cluster-basic.js`
 * @property {string} name `test-cluster-basic`
 * @property {string} path
 * @property {string} tree
 * @property {string[]} flags for the Node binary, before the file
 * @property {boolean} isParallel whether it may run beside others
 */

/** @returns {TestFile[]} the test files of a tree, in the order of their names */
function findTestFiles(tree) {
  for (const folder of ['test/common', 'test/parallel']) {
    if (!existsSync(path.join(tree, folder))) {
      throw new UserError(`${tree} is not a Node source tree: it has no ${folder}.`);
    }
  }
  return [...testFilesIn(tree, 'parallel'), ...testFilesIn(tree, 'sequential')];
}

function testFilesIn(tree, section) {
  const folder = path.join(tree, 'test', section);
  if (!existsSync(folder)) return [];
  const names = readdirSync(folder).filter((name) => TEST.test(name) && name.includes(TOPIC));
  return names.sort().map((name) => {
    const file = path.join(folder, name);
    return {
      label: `${section}/${name}`,
      name: path.parse(name).name,
      path: file,
      tree,
      flags: flagsOf(readFileSync(file, 'utf8')),
      isParallel: section === 'parallel',
    };
  });
}

function flagsOf(source) {
  const [, flags = ''] = FLAGS.exec(source) ?? [];
  return flags.split(/\s+/).filter(Boolean);
}

module.exports = { findTestFiles };
