'use strict';

const { realpathSync, statSync } = require('node:fs');
const path = require('node:path');

/**
 * Where the program lives: often a link to the current release, which a deployment changes. Only `$PWD` has
 * the name of such a link after `cd current && node app.js`; the system resolves it.
 */
class Directory {
  /** What to resolve: an absolute path, which may be or contain a link. */
  path;
  /** Where that led at first. `process.argv[1]` and the like name files there. */
  first;

  /**
   * @param {string} [given] the option `directory`
   * @throws an error of the system if there is no such directory
   */
  constructor(given) {
    const base = workingDirectory();
    this.path = given === undefined ? base : path.resolve(base, given);
    this.first = this.resolve();
  }

  /**
   * Where it leads now.
   *
   * @throws an error of the system, such as ENOENT
   */
  resolve() {
    return Directory.resolve(this.path);
  }

  /** Where the path of a directory leads now. */
  static resolve(folder) {
    const real = realpathSync(folder);
    if (statSync(real).isDirectory()) return real;
    throw Object.assign(new Error(`ENOTDIR: not a directory, '${folder}'`), {
      code: 'ENOTDIR',
      path: folder,
    });
  }

  /** The file of the release in `real` that stands for a file of the first one, or below the link. */
  map(file, real) {
    for (const folder of [this.path, this.first]) {
      const rest = path.relative(folder, file);
      const isBelow = rest !== '..' && !rest.startsWith(`..${path.sep}`) && !path.isAbsolute(rest);
      if (path.isAbsolute(file) && isBelow) return path.join(real, rest);
    }
    return file;
  }
}

/** `$PWD` if it is the working directory, as shells keep it; otherwise `process.cwd()`. */
function workingDirectory() {
  const { PWD } = process.env;
  if (PWD !== undefined && path.isAbsolute(PWD) && isSame(PWD, '.')) return PWD;
  return process.cwd();
}

function isSame(one, other) {
  try {
    const [a, b] = [one, other].map((it) => statSync(it, { bigint: true }));
    return a.dev === b.dev && a.ino === b.ino;
  } catch {
    return false;
  }
}

module.exports = Directory;
