'use strict';

const path = require('node:path');
const errors = require('../errors.js');
const { commonEnvironment } = require('../node/builtin.js');
const { resolveSpawn } = require('../node/child-process.js');
const { toPath } = require('../node/fork-options.js');
const { InspectPorts } = require('../node/inspector.js');
const { ownSettings } = require('../primary/settings.js');
const spawnRequest = require('../process/spawn-request.js');
const toForkOptions = require('../process/to-fork-options.js');
const Directory = require('./directory.js');
const { withoutServiceManager } = require('./service-manager.js');

// Not the standard input of the primary, which is the operator's; the engine keeps the end of the stderr.
const STDIO = ['ignore', 'inherit', 'inherit', 'ipc'];

/**
 * Makes recipes: snapshots of all that it takes to start a worker. The engine starts workers by them while
 * this process is blocked, and after a release has been replaced.
 */
class Recipes {
  #settings;
  #env;
  #supervised;
  #directory;
  #files;
  #keepsStderr;
  #inspectPort;
  #slotEnv;
  #hasPrefix;

  /**
   * @param {object} options as `checkOptions()` returns them
   * @param {{ preload: string, binary: string }} [files] of ours for workers to load, if not those in use here
   * @throws an error of the system if there is no such directory
   */
  constructor({ settings, env, directory, readyWhen, engine, internal }, defaults, files) {
    const { killMode, queueTimeout } = ownSettings(settings, defaults);
    const isPlain = settings.stdio === undefined && !settings.silent;
    this.#keepsStderr = isPlain;
    this.#settings = { ...settings, killMode, queueTimeout };
    if (isPlain) this.#settings.stdio = STDIO;
    const { inspectPort, execArgv } = new InspectPorts().forRecipe(settings);
    this.#inspectPort = inspectPort;
    this.#settings.execArgv = execArgv;
    this.#env = env;
    this.#supervised = {
      readyWhen,
      countsRequests: engine.maxRequests > 0,
      ...(internal.rehearse && { rehearses: true }),
    };
    this.#directory = new Directory(directory);
    this.#files = files;
    this.#slotEnv = internal.slotEnv;
    this.#hasPrefix = internal.prefix;
  }

  /**
   * Makes a recipe of what is there now.
   *
   * @param {object} [env] in place of the option `env`
   * @returns {{ engine: object, request: object }} for the engine, and for the `Worker` objects
   * @throws what the option `env` throws, and what `fork()` throws for settings of the wrong type
   */
  make(env = this.#askForEnv()) {
    const directory = this.#directory.resolve();
    const settings = { ...this.#settings, ...this.#placed(directory) };
    const variables = withoutServiceManager(commonEnvironment({ ...env, PWD: this.#pwd }));
    const request = spawnRequest(settings, variables, this.#files?.preload);
    const spawned = resolveSpawn(request.spawn);
    const options = toForkOptions(spawned, request, this.#supervised, this.#files);
    const engine = {
      ...options,
      ownGroup: true,
      keepStderr: this.#keepsStderr,
      slotEnv: this.#slotEnv,
      prefix: this.#hasPrefix,
      // See no-color.org.
      prefixColor: !process.env.NO_COLOR,
    };
    const inspectPort = this.#inspectPort;
    if (inspectPort !== undefined) {
      // Before the program and its arguments.
      const inspectIndex = options.args.length - 1 - (settings.args ?? []).length;
      Object.assign(engine, { inspectPort, inspectIndex });
    }
    return { engine, request };
  }

  /** The recipe with this `env`, if that was given, is in force. */
  commit(env) {
    if (env !== undefined) this.#env = env;
  }

  /** The settings that name files of the release, for the one that is there now. */
  #placed(real) {
    const directory = this.#directory;
    const cwd = directory.map(this.#pwd, real);
    // Otherwise each start of a worker would fail.
    Directory.resolve(cwd);
    return { exec: directory.map(toPath(this.#settings.exec), real), cwd };
  }

  /** The working directory of the workers, by the name that stays when the release changes. */
  get #pwd() {
    const { cwd } = this.#settings;
    return cwd ? path.resolve(this.#directory.path, toPath(cwd)) : this.#directory.path;
  }

  #askForEnv() {
    const env = this.#env;
    if (typeof env !== 'function') return env;
    const given = env();
    const isObject = given !== null && typeof given === 'object' && !Array.isArray(given);
    // A promise is what an asynchronous function returns.
    if (!isObject || typeof given.then === 'function') {
      throw errors.invalidReturnValue('an object', 'options.env', given);
    }
    return given;
  }
}

module.exports = Recipes;
