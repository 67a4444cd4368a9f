'use strict';

// Selects the files to run on the engine: every file that stock Node passes here, except the excluded ones.

const { attempt } = require('./attempt.js');
const { runRound } = require('./round.js');

// A file that fails with stock Node, but not each time, still runs on the engine.
const TRIES = 3;

/**
 * @param {import('./test-files.js').TestFile[]} files
 * @param {Record<string, string>} excluded reasons by name
 * @param {object} how as for `attempt`, without `preload` and `slot`
 * @returns the files to run, the excluded files, and those that stock Node does not pass, each in order;
 * and how child processes of a file fail with stock Node, by file
 */
async function selectFiles(files, excluded, how) {
  const verdicts = new Map();
  const exits = new Map();
  await runRound(files, how.jobs, async (file, slot) => {
    const { verdict, exits: seen } = await askStock(file, { ...how, slot });
    verdicts.set(file, verdict);
    exits.set(file, seen);
  });
  const stockPasses = files.filter((file) => verdicts.get(file) === undefined);
  const isExcluded = ({ name }) => Object.hasOwn(excluded, name);
  return {
    asked: stockPasses.filter((file) => !isExcluded(file)),
    excluded: stockPasses.filter(isExcluded).map((file) => ({ file, reason: excluded[file.name] })),
    exits,
    notPassed: files
      .filter((file) => verdicts.get(file) !== undefined)
      .map((file) => ({ file, reason: verdicts.get(file) })),
  };
}

/**
 * Resolves to why a file is not run on the engine, if stock Node does not pass it; and how its children
 * fail.
 */
async function askStock(file, how) {
  for (let tried = 1; ; tried += 1) {
    const { outcome, reason, exits } = await attempt(file, how);
    if (outcome === 'passed') return { exits };
    if (outcome === 'skipped') return { verdict: `stock Node skips it: ${reason}`, exits };
    if (tried === TRIES) return { verdict: `stock Node fails: ${reason}`, exits };
  }
}

module.exports = { selectFiles };
