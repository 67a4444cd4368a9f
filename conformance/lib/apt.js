'use strict';

// Fetches source packages by apt-get without changing the machine's own apt: it uses the machine's entries,
// as entries for sources, with its own lists, caches and settings.

const { mkdirSync, existsSync, readFileSync, readdirSync, writeFileSync } = require('node:fs');
const path = require('node:path');
const { runTool } = require('../../tools/run-tool.js');
const { UserError } = require('../../tools/user-error.js');

const NO_APT = 'apt-get, which fetches a Node source tree, is missing: give the DIRECTORY of one.';

/**
 * @param {string} name of the source package
 * @param {string} directory to work in, which is created
 * @returns {Promise<string[]>} the paths of the tarballs
 */
async function fetchSource(name, directory) {
  const [lists, cache, entries, downloads] = ['lists', 'cache', 'entries', 'downloads'].map(
    (folder) => path.join(directory, folder),
  );
  for (const folder of [path.join(lists, 'partial'), cache, entries, downloads]) {
    mkdirSync(folder, { recursive: true });
  }
  await copyEntries(entries);
  const settings = path.join(directory, 'apt.conf');
  writeFileSync(
    settings,
    `Dir::State::Lists "${lists}";
Dir::Cache "${cache}";
Dir::Etc::SourceList "/dev/null";
Dir::Etc::SourceParts "${entries}";
Acquire::Retries "3";
// The machine's own hooks after an update are about its own lists.
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
`,
  );
  const apt = (...args) =>
    runTool('apt-get', ['-qq', '-c', settings, ...args], { cwd: downloads, missing: NO_APT });
  // An unreachable archive does not matter if another archive has the package.
  const trouble = await apt('update').catch((error) => error);
  try {
    await apt('source', '--download-only', '--tar-only', name);
  } catch (error) {
    const messages = [trouble.message, error.message].filter(Boolean);
    throw new UserError([...messages, 'Or give the DIRECTORY of a Node source tree.'].join('\n'));
  }
  return readdirSync(downloads).map((file) => path.join(downloads, file));
}

/** Copies the machine's entries, as entries for sources, including keys and mirrors. */
async function copyEntries(directory) {
  for (const file of await entryFiles()) {
    const text = readFileSync(file, 'utf8');
    const sources = file.endsWith('.sources')
      ? text.replace(/^Types:.*/gim, 'Types: deb-src')
      : text.replace(/^[ \t]*deb(?=\s)/gm, 'deb-src');
    writeFileSync(path.join(directory, path.basename(file)), sources);
  }
}

async function entryFiles() {
  const args = ['shell', 'LIST', 'Dir::Etc::SourceList/f', 'PARTS', 'Dir::Etc::SourceParts/d'];
  const settings = await runTool('apt-config', args, { missing: NO_APT });
  const [, list] = /^LIST='(.*)'$/m.exec(settings) ?? [];
  const [, parts] = /^PARTS='(.*)'$/m.exec(settings) ?? [];
  const isEntries = (name) => /\.(?:list|sources)$/.test(name);
  const files = existsSync(parts) ? readdirSync(parts).filter(isEntries) : [];
  return [list, ...files.map((name) => path.join(parts, name))].filter(existsSync);
}

module.exports = { fetchSource };
