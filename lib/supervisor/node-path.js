'use strict';

const { accessSync, constants, realpathSync, statSync } = require('node:fs');
const path = require('node:path');

/**
 * Node as the command that has started this process found it: another version may be there by now, in `$PATH` or
 * behind a link.
 */
class NodePath {
  /** A name to look up, or an absolute path; undefined if that is not how this Node was found. */
  #command;

  /** @param {string} base what a relative path of the command line is relative to */
  constructor(base) {
    const command = absolute(process.argv0, base);
    if (isThisNode(lookUp(command))) this.#command = command;
  }

  /**
   * What to start now.
   *
   * @returns {{ file: string, argv0: string }}
   */
  find() {
    const file = this.#command && lookUp(this.#command);
    if (file === undefined) return { file: process.execPath, argv0: process.execPath };
    return { file, argv0: this.#command };
  }
}

/** A name is left as it is, because it is looked up in `$PATH`. */
function absolute(command, base) {
  return command.includes('/') ? path.resolve(base, command) : command;
}

/** The file of a command, as shells find it; undefined if there is none. */
function lookUp(command, { PATH = '' } = process.env) {
  if (command.includes('/')) return command;
  const files = PATH.split(':').map((folder) => path.resolve(folder, command));
  return files.find(isExecutable);
}

function isExecutable(file) {
  try {
    checkExecutable(file);
    return true;
  } catch {
    return false;
  }
}

/** @throws an error of the system if the file cannot be executed */
function checkExecutable(file) {
  accessSync(file, constants.X_OK);
  if (statSync(file).isFile()) return;
  throw Object.assign(new Error(`EACCES: not a file, '${file}'`), { code: 'EACCES', path: file });
}

function isThisNode(file) {
  try {
    return file !== undefined && realpathSync(file) === realpathSync(process.execPath);
  } catch {
    return false;
  }
}

module.exports = { NodePath, absolute, checkExecutable, lookUp };
