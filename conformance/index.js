'use strict';

// npm run conformance -- [DIRECTORY] [options]: runs upstream's own tests of the cluster module on the
// engine. No process of a test ever outlives this one (see ../tools/processes.js).

const os = require('node:os');
const path = require('node:path');
const { runCommand } = require('../tools/command.js');
const excluded = require('./excluded.js');
const { attempt } = require('./lib/attempt.js');
const { checkEngine } = require('./lib/engine-check.js');
const { startLoad } = require('./lib/load.js');
const { findNode } = require('../tools/node-binary.js');
const { USAGE, parseOptions } = require('./lib/options.js');
const { describeFailure, describeSelection, summarize } = require('./lib/report.js');
const { runRound } = require('./lib/round.js');
const { selectFiles } = require('./lib/selection.js');
const { debianSourceTree } = require('./lib/source-tree.js');
const { findTestFiles } = require('./lib/test-files.js');

const PRELOAD = path.join(__dirname, '..', 'register.js');

function say(text) {
  process.stdout.write(text);
}

function secondsSince(start) {
  return `${Math.round((performance.now() - start) / 1000)} s`;
}

/** Resolves to whether at least one file was run on the engine, and all passed. */
async function runOn(node, files, { rounds, load, jobs, limit }) {
  await checkEngine(node, PRELOAD);
  const many = rounds === 1 ? '1 round' : `${rounds} rounds`;
  const beside = load ? ', all cores busy' : '';
  say(`Node ${node.version}: ${files.length} files, ${jobs} at a time, ${many}${beside}\n`);

  const start = performance.now();
  const selection = await selectFiles(files, excluded, { node, jobs, limit });
  say(`  stock Node took ${secondsSince(start)}\n${describeSelection(selection)}`);

  const failed = new Set();
  const stopLoad = startLoad(load ? os.availableParallelism() : 0);
  for (let round = 1; round <= rounds; round += 1) {
    const start = performance.now();
    await runRound(selection.asked, jobs, async (file, slot) => {
      const how = { node, preload: PRELOAD, slot, jobs, limit };
      const failure = asFailure(await attempt(file, how), selection.exits.get(file));
      if (failure === undefined) return;
      failed.add(file);
      say(describeFailure(file, round, failure));
    });
    say(`  round ${round} took ${secondsSince(start)}\n`);
  }
  stopLoad();
  say(summarize(node, selection, failed.size));
  return failed.size === 0 && selection.asked.length > 0;
}

// Stock Node has passed the file. So if the file now skips itself, or a child process fails in a way in which
// none fails with stock Node, the engine is the reason. A test may overlook such a child process.
function asFailure({ outcome, reason, output, exits }, stockExits) {
  const unknown = exits.filter((exit) => !stockExits.includes(exit));
  const reasons = [];
  if (outcome === 'failed') reasons.push(reason);
  if (outcome === 'skipped') reasons.push(`skips itself: ${reason}`);
  if (unknown.length > 0) reasons.push(`a child process ended with ${unknown.join(', ')}`);
  return reasons.length === 0 ? undefined : { reason: reasons.join('; '), output };
}

async function main(argv) {
  const options = parseOptions(argv);
  if (options.help) {
    say(USAGE);
    return 0;
  }
  const tree = options.directory ? path.resolve(options.directory) : await debianSourceTree();
  const files = findTestFiles(tree).filter(({ name }) => options.only.test(name));
  let isFine = true;
  for (const wanted of options.node) {
    const node = await findNode(wanted);
    isFine = (await runOn(node, files, options)) && isFine;
  }
  return isFine ? 0 : 1;
}

runCommand(main);
