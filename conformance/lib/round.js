'use strict';

/**
 * Runs every file once: `jobs` parallel files at a time, and the others one by one at the end.
 *
 * @param {import('./test-files.js').TestFile[]} files
 * @param {number} jobs
 * @param {(file: object, slot: number) => Promise<void>} run
 */
async function runRound(files, jobs, run) {
  const work = async (queue, slot) => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) await run(file, slot);
  };
  const parallel = files.filter(({ isParallel }) => isParallel);
  await Promise.all(Array.from({ length: jobs }, (_, slot) => work(parallel, slot)));
  await work(
    files.filter(({ isParallel }) => !isParallel),
    0,
  );
}

module.exports = { runRound };
