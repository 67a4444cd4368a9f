'use strict';

const { runTool } = require('./run-tool.js');

/** Resolves to the target that rustc compiles for by default: `x86_64-unknown-linux-gnu`. */
async function hostTarget() {
  const [, host] = /^host: (.+)$/m.exec(await runTool('rustc', ['-vV']));
  return host;
}

module.exports = { hostTarget };
