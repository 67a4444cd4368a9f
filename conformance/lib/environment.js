'use strict';

const path = require('node:path');

const EXITS = path.join(__dirname, '..', 'programs', 'exits.js');

// Tests do not get those variables of the caller that Node, npm and upstream's runner read, or that set
// colors.
const CALLERS = /^(?:NODE_|RS_CLUSTER_|TEST_|npm_)|^(?:FORCE_COLOR|NODE|NO_COLOR)$/;

// Upstream's common.PORT, and how many ports from there a test may use. Two runners on one machine should not
// use the same ports. All these ports are below those that the kernel assigns.
const FIRST_PORT = 12346;
const PORTS_A_SLOT = 100;
const SLOTS = 200;

const FIRST_WITH_UNKNOWN_GLOBALS = 22;

/** The caller's environment without variables that would change a test's outcome. */
function callersEnvironment() {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !CALLERS.test(name)));
}

/** Makes every Node process load these modules first. */
function preloading(...modules) {
  const flags = modules.map((module) => `--require "${module.replace(/[\\"]/g, '\\$&')}"`);
  return { NODE_OPTIONS: flags.join(' ') };
}

/**
 * The environment of a test, as upstream's tools/test.py and test/common make it.
 *
 * @param {object} how
 * @param {number} how.slot the number among the tests that run at the same time: 0, 1, …
 * @param {string} how.directory the directory in which the test may write
 * @param {string} how.exits the file for how its child processes failed
 */
function testEnvironment({ isParallel }, { node, preload, slot, jobs, directory, exits }) {
  const port = FIRST_PORT + PORTS_A_SLOT * ((process.pid * jobs + slot) % SLOTS);
  const environment = {
    ...callersEnvironment(),
    NODE_TEST_DIR: directory,
    NODE_COMMON_PORT: `${port}`,
    TEST_THREAD_ID: `${slot}`,
    TEST_PARALLEL: isParallel ? '1' : '0',
    CONFORMANCE_EXITS: exits,
    ...preloading(EXITS, ...(preload === undefined ? [] : [preload])),
  };
  // test/common fails a test that leaves an unknown global. An older tree, such as Debian's, does not know
  // all of Node's own globals from this version on.
  if (node.major >= FIRST_WITH_UNKNOWN_GLOBALS) environment.NODE_TEST_KNOWN_GLOBALS = '0';
  return environment;
}

module.exports = { callersEnvironment, preloading, testEnvironment };
