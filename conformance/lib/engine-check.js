'use strict';

// Checks, before the first test, that tests use the engine.

const path = require('node:path');
const { callersEnvironment, preloading } = require('./environment.js');
const { runTool } = require('../../tools/run-tool.js');
const { UserError } = require('../../tools/user-error.js');

const PROGRAM = path.join(__dirname, '..', 'programs', 'which-cluster.js');
const LIMIT_MS = 30_000;
const ROLES = ['primary', 'worker'];

async function look(node, preload) {
  const env = { ...callersEnvironment(), ...(preload && preloading(preload)) };
  return JSON.parse(await runTool(node.path, [PROGRAM], { env, limit: LIMIT_MS }));
}

/** Checks that the preload replaces node:cluster, and that the check would fail without it. */
async function checkEngine(node, preload) {
  const stock = await look(node);
  const seen = await look(node, preload);
  for (const role of ROLES) {
    if (stock[role]) {
      throw new UserError(`${PROGRAM} sees the engine in a ${role} of stock Node ${node.version}.`);
    }
    if (!seen[role]) {
      throw new UserError(
        `With ${preload}, a ${role} of Node ${node.version} still has Node's own cluster module.`,
      );
    }
  }
}

module.exports = { checkEngine };
