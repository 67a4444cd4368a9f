'use strict';

const { existsSync, mkdirSync, symlinkSync } = require('node:fs');
const path = require('node:path');
const { ROOT } = require('./documents');

const MODULES = path.join(ROOT, 'node_modules');

/** Makes the packages that the sources load available in `directory`, as if they were installed. */
function installInto(directory, sources) {
  const names = sources.flatMap((source) =>
    [
      ...source.matchAll(
        /(?:\brequire\(|\bfrom |\bimport |--require |--import )'?([@\w][\w./-]*)/g,
      ),
    ].map(([, specifier]) => specifier.match(/^(?:@[^/]+\/)?[^/]+/)[0]),
  );
  for (const name of new Set([...names, 'rs-cluster', '@types/node'])) {
    const target = name === 'rs-cluster' ? ROOT : path.join(MODULES, name);
    if (!existsSync(target)) continue;
    const link = path.join(directory, 'node_modules', name);
    mkdirSync(path.dirname(link), { recursive: true });
    symlinkSync(target, link);
  }
  linkCommand(directory);
}

/** As npm does for the commands of a package. */
function linkCommand(directory) {
  const link = path.join(directory, 'node_modules', '.bin', 'rs-cluster');
  mkdirSync(path.dirname(link), { recursive: true });
  symlinkSync(path.join(ROOT, 'bin', 'rs-cluster.js'), link);
}

module.exports = { installInto };
