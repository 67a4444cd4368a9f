'use strict';

// What is asked of the engine: every file that stock Node passes here, but for the excluded ones.

const { attempt } = require('./attempt.js');
const { runRound } = require('./round.js');

// A file that fails for once is no reason not to ask it of the engine.
const TRIES = 3;

/**
 * @param {import('./test-files.js').TestFile[]} files
 * @param {Record<string, string>} excluded reasons by name
 * @param {object} how as for `attempt`, without `preload` and `slot`
 * @returns what is asked, what is excluded, and what stock Node does not pass, each in order
 */
async function selectFiles(files, excluded, how) {
  const verdicts = new Map();
  await runRound(files, how.jobs, async (file, slot) => {
    verdicts.set(file, await stockVerdict(file, { ...how, slot }));
  });
  const stockPasses = files.filter((file) => verdicts.get(file) === undefined);
  const isExcluded = ({ name }) => Object.hasOwn(excluded, name);
  return {
    asked: stockPasses.filter((file) => !isExcluded(file)),
    excluded: stockPasses.filter(isExcluded).map((file) => ({ file, reason: excluded[file.name] })),
    notPassed: files
      .filter((file) => verdicts.get(file) !== undefined)
      .map((file) => ({ file, reason: verdicts.get(file) })),
  };
}

/** Why a file is not asked of the engine; undefined when stock Node passes it. */
async function stockVerdict(file, how) {
  for (let tried = 1; ; tried += 1) {
    const { outcome, reason } = await attempt(file, how);
    if (outcome === 'passed') return undefined;
    if (outcome === 'skipped') return `stock Node skips it: ${reason}`;
    if (tried === TRIES) return `stock Node fails: ${reason}`;
  }
}

module.exports = { selectFiles };
