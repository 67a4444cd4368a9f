'use strict';

// Programs under `rs-cluster run`. Each has an address of its own, as if it were a machine.

const path = require('node:path');
const { ask, startDaemon } = require('./daemon');
const { freePort } = require('../free-port');
const { environment } = require('../fixture');
const { execPath } = require('../implementation');
const { temporaryDirectory } = require('../temporary');
const { runTool } = require('../../../tools/run-tool');

const BIN = process.env.DEPLOY_BIN ?? path.join(__dirname, '../../../bin/rs-cluster.js');
const LIMIT = 60_000;

/** A program on an address of its own, which can be stopped, and started again. */
class Machine {
  #t;
  #args;
  #options;
  #daemon;

  /**
   * @param {object} place `host`, `port`, `admin` (a port), `control` (a path)
   * @param {string[]} args for `rs-cluster run`
   */
  constructor(t, place, args, options) {
    this.#t = t;
    Object.assign(this, place);
    this.#args = args;
    this.#options = options;
  }

  get daemon() {
    return this.#daemon;
  }

  get output() {
    return this.#daemon.output;
  }

  /** Resolves when it is ready, as load balancers see it. */
  async start() {
    const { host, admin, control } = this;
    const args = ['run', '--admin', `${host}:${admin}`, '--control', control, ...this.#args];
    const { launcher, ...options } = this.#options;
    const [program, ...rest] = [...launcher, execPath, BIN, ...args];
    this.#daemon = startDaemon(this.#t, program, rest, options);
    await this.#daemon.until(() => this.isReady(), 'it is ready');
  }

  async isReady() {
    return (await this.probe('/readyz')).status === 200;
  }

  /** Asks the admin endpoint. */
  probe(path, headers = undefined) {
    return ask({ host: this.host, port: this.admin, path, headers });
  }

  /** Runs a command of rs-cluster; resolves to its output. */
  command(...args) {
    return runTool(execPath, [BIN, ...args, '--control', this.control], { limit: LIMIT });
  }

  async status() {
    return JSON.parse(await this.command('status', '--json'));
  }

  /** Ends it as a service manager does; resolves to how. */
  stop() {
    return this.#daemon.stop('SIGTERM');
  }
}

/**
 * Starts a program under `rs-cluster run` at each of these addresses, and waits until all are ready. Machines have the
 * same ports at different addresses, as in a configuration for real ones.
 *
 * @param {string[]} hosts
 * @param {object} how
 * @param {(place: object) => string[]} how.run the options, the program and its arguments
 * @param {(place: object) => object} [how.env]
 * @param {string[]} [how.launcher] a command that executes the command appended to it
 */
async function startMachines(t, hosts, { run, env = () => ({}), launcher = [] }) {
  const [port, admin] = [await freePort(), await freePort()];
  const machines = hosts.map((host) => {
    const control = path.join(temporaryDirectory(t), 'control.sock');
    const place = { host, port, admin, control };
    const options = { launcher, env: { ...environment(), ...env(place) } };
    return new Machine(t, place, run(place), options);
  });
  await Promise.all(machines.map((machine) => machine.start()));
  return machines;
}

module.exports = { BIN, startMachines };
