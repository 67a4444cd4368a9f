'use strict';

// The main package, as it is published: what the manifest names of the sources, with the modules that primaries and
// workers load joined into chunks. `lib/` is there too, for the command line and for private copies of the package.

const fs = require('node:fs');
const path = require('node:path');
const { joinModules, joinedNames, redirect } = require('./chunks.js');
const { targetOf } = require('../../lib/addon/binary.js');

const ROOT = path.join(__dirname, '..', '..');
const MAIN = path.join(ROOT, 'target', 'package');
// npm adds these to what the manifest names.
const ALWAYS = ['package.json', 'README.md', 'LICENSE'];

// What a primary loads at once, what it needs to start a worker, to talk with it, and what else it may need.
const PRIMARY = [
  {
    file: 'lib/chunks/primary.js',
    entries: ['lib/node/builtin.js', 'lib/singleton.js', 'lib/primary/create-primary.js'],
  },
  { file: 'lib/chunks/fork.js', entries: ['lib/primary/workers.js'] },
  { file: 'lib/chunks/channel.js', entries: ['lib/ipc/channel.js', 'lib/ipc/json-safe.js'] },
  { file: 'lib/chunks/primary-rest.js', entries: [] },
];
const WORKER = [
  { file: 'lib/chunks/worker.js', entries: ['lib/addon/binary.js', 'lib/worker/attach.js'] },
  { file: 'lib/chunks/worker-rest.js', entries: [] },
];
const CHUNKS_OF = new Map([
  ['index.js', PRIMARY],
  ['register.js', PRIMARY],
  ['preload.js', WORKER],
]);

/** The files that the manifest names, by their paths, or as all scripts of a directory. */
function filesOf({ files }) {
  return files.flatMap((pattern) => {
    const [, directory, extension] = /^([^*]+)\/(?:\*\*\/)?\*(\.\w+)$/.exec(pattern) ?? [];
    if (directory === undefined) return [pattern];
    const names = fs.readdirSync(path.join(ROOT, directory), { recursive: true });
    const wanted = names.filter((name) => name.endsWith(extension));
    return wanted.map((name) => path.join(directory, name));
  });
}

const names = new Map([PRIMARY, WORKER].map((chunks) => [chunks, joinedNames(ROOT, chunks)]));

/**
 * A file as it is published. What only the command line loads shares the modules of the primary: two of one would not
 * know each other's state.
 */
function redirected(file, text) {
  const isJoined = [...names.values()].some((joined) => joined.has(file));
  const chunks =
    CHUNKS_OF.get(file) ?? (file.startsWith('lib/') && !isJoined ? PRIMARY : undefined);
  if (chunks === undefined) return text;
  return redirect(text, file, chunks[0].file, (name) => names.get(chunks).has(name));
}

/**
 * Makes the package in a directory, which is emptied before.
 *
 * @param {string} [directory]
 * @returns {string} the directory
 */
function makeMainPackage(directory = MAIN) {
  const put = (file, text) => {
    const target = path.join(directory, file);
    fs.mkdirSync(path.dirname(target), { recursive: true });
    fs.writeFileSync(target, text, { mode: file.startsWith('bin/') ? 0o755 : 0o644 });
  };
  fs.rmSync(directory, { recursive: true, force: true });
  const manifest = JSON.parse(fs.readFileSync(path.join(ROOT, 'package.json'), 'utf8'));
  for (const file of [...ALWAYS, ...filesOf(manifest)]) {
    const text = fs.readFileSync(path.join(ROOT, file), 'utf8');
    put(file, redirected(file, text));
  }
  for (const chunks of [PRIMARY, WORKER]) {
    for (const [file, text] of joinModules(ROOT, chunks)) put(file, text);
  }
  return directory;
}

/** The same, with the addon that has been built in `lib/`, if one has. npm does not pack that. */
function makeRunnable(directory = MAIN) {
  const binary = path.join('lib', `rs-cluster.${targetOf(process)}.node`);
  makeMainPackage(directory);
  if (fs.existsSync(path.join(ROOT, binary))) {
    fs.copyFileSync(path.join(ROOT, binary), path.join(directory, binary));
  }
  return directory;
}

module.exports = { makeMainPackage, makeRunnable };
