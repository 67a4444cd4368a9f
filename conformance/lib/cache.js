'use strict';

const { existsSync, mkdirSync, renameSync, rmSync } = require('node:fs');
const path = require('node:path');

const CACHE = path.join(__dirname, '..', '.cache');

/**
 * A directory that is fetched once, and may be deleted at any time. What was interrupted is never
 * taken for the whole.
 *
 * @param {string} name
 * @param {(directory: string) => Promise<void>} fetch puts it into a directory that is empty
 */
async function cached(name, fetch) {
  const directory = path.join(CACHE, name);
  if (existsSync(directory)) return directory;
  const partial = `${directory}.partial`;
  rmSync(partial, { recursive: true, force: true });
  mkdirSync(partial, { recursive: true });
  await fetch(partial);
  renameSync(partial, directory);
  return directory;
}

module.exports = { cached };
