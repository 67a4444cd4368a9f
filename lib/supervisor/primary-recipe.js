'use strict';

const { accessSync, constants, readFileSync } = require('node:fs');
const { createRequire } = require('node:module');
const path = require('node:path');
const { environmentPairs } = require('../node/fork-options.js');
const { isSingleExecutable } = require('../process/preloading.js');
const Directory = require('./directory.js');
const { NodePath, absolute, checkExecutable, lookUp } = require('./node-path.js');
const { serviceManagerOfSuccessor } = require('./service-manager.js');

const STDIO = [0, 1, 2];
/** A path, or an option with one. */
const PATH_ARGUMENT = /^(--[\w-]+=)?(\/.*)$/s;
/** Options of Node with which the first argument is not the file of a program. */
const WITHOUT_FILE =
  /^(?:-e|--eval|-p|--print|-pe|--run|--test|--entry-url|-i|--interactive)(?:=|$)/;
const ENV_FILE = /^--env-file(?:-if-exists)?(?:=|$)/;

/** What it takes to start this primary again: in the release, and with the Node, that are there then. */
class PrimaryRecipe {
  /** The directory that this process runs in. */
  #working = new Directory();
  /** Where the program lives. */
  #program;
  #node;

  /**
   * @param {string} [directory] the option of `supervise()`
   * @throws an error of the system if there is no such directory
   */
  constructor(directory) {
    this.#program = directory === undefined ? this.#working : new Directory(directory);
    this.#node = new NodePath(this.#working.path);
  }

  /**
   * Makes the recipe of what is there now.
   *
   * @param {object} options of `upgrade()`
   * @throws an error if there is nothing to start
   */
  make({ directory, execPath, execArgv = process.execArgv, args, env }) {
    const moves = this.#moves(directory);
    const PWD = moved(this.#working.path, moves);
    const cwd = Directory.resolve(PWD);
    const { file, argv0 } = this.#nodeOf(execPath);
    checkExecutable(file);
    const program = args ?? ownArguments().map((arg) => moved(arg, moves));
    checkProgram(program[0], execArgv, cwd);
    const variables = { ...ownEnvironment(), ...serviceManagerOfSuccessor(), ...env, PWD };
    const all = [argv0, ...execArgv, ...program];
    return { file, args: all, env: environmentPairs(variables), cwd, stdio: STDIO };
  }

  #nodeOf(execPath) {
    if (execPath === undefined) return this.#node.find();
    const command = absolute(execPath, this.#working.path);
    return { file: lookUp(command) ?? command, argv0: command };
  }

  /** Directories, each with the one that has taken its place. A link stays, and is followed when it is used. */
  #moves(given) {
    const { path: link, first } = this.#program;
    if (given === undefined) {
      const both = new Set([this.#program, this.#working]);
      return [...both].flatMap((it) => {
        const now = resolved(it);
        return now === undefined ? [] : [[it.first, now]];
      });
    }
    const place = path.resolve(this.#working.path, given);
    return [
      [link, place],
      [first, Directory.resolve(place)],
    ];
  }
}

/** Undefined for a directory that is gone, which the program may do without. */
function resolved(directory) {
  try {
    return directory.resolve();
  } catch {
    return undefined;
  }
}

/** An argument for the directories that are there now. */
function moved(arg, moves) {
  const [, option = '', file] = PATH_ARGUMENT.exec(arg) ?? [];
  if (file === undefined) return arg;
  const move = moves.find(([from]) => file === from || file.startsWith(`${from}/`));
  return move === undefined ? arg : `${option}${move[1]}${file.slice(move[0].length)}`;
}

/** The program and its arguments. Where Node and the program are one file, Node puts its path before them. */
function ownArguments() {
  return process.argv.slice(isSingleExecutable ? 2 : 1);
}

/**
 * The environment of this process, without variables that Node has read from files: it reads the files again, and
 * variables that are there already would win.
 */
function ownEnvironment() {
  if (![...process.execArgv, ...process.argv].some((arg) => ENV_FILE.test(arg))) return process.env;
  try {
    const names = readFileSync('/proc/self/environ', 'utf8').split('\0');
    const known = new Set(names.map((it) => it.split('=', 1)[0]));
    return Object.fromEntries(Object.entries(process.env).filter(([name]) => known.has(name)));
  } catch {
    return process.env;
  }
}

/** @throws an error if Node would find no program */
function checkProgram(program, execArgv, cwd) {
  if (isSingleExecutable || execArgv.some((arg) => WITHOUT_FILE.test(arg))) return;
  if (program === undefined || program === '-') {
    throw new Error('the program was read from the standard input, where it is no longer');
  }
  const file = path.resolve(cwd, program);
  try {
    // Bundlers take `require.resolve()` for a file to be included.
    accessSync(createRequire(file).resolve(file), constants.R_OK);
  } catch (error) {
    if (error.code !== 'MODULE_NOT_FOUND') throw error;
    throw Object.assign(new Error(`there is no program ${file}`), { code: 'ENOENT', path: file });
  }
}

module.exports = PrimaryRecipe;
