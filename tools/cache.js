'use strict';

const { existsSync, mkdirSync, renameSync, rmSync } = require('node:fs');
const path = require('node:path');

const CACHE = path.join(__dirname, '..', '.cache');

/** The path at which `cached` keeps a directory with this name, if it has been fetched. */
function find(name) {
  const directory = path.join(CACHE, name);
  return existsSync(directory) ? directory : undefined;
}

/**
 * Resolves to a directory that is fetched only once, and may be deleted at any time. An interrupted fetch is never
 * taken for a complete one.
 *
 * @param {string} name
 * @param {(directory: string) => Promise<void>} fetch fills a directory, which is empty
 */
async function cached(name, fetch) {
  const found = find(name);
  if (found) return found;
  const directory = path.join(CACHE, name);
  const partial = `${directory}.partial`;
  rmSync(partial, { recursive: true, force: true });
  mkdirSync(partial, { recursive: true });
  await fetch(partial);
  renameSync(partial, directory);
  return directory;
}

module.exports = { cached, find };
