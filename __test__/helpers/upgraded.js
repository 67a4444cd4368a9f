'use strict';

const { mkdirSync, renameSync, writeFileSync } = require('node:fs');
const path = require('node:path');
const { start } = require('./fixture');
const { freePort } = require('./free-port');
const { NAME, post, request } = require('./operator');
const { PROGRAM } = require('./supervised');
const { temporaryDirectory } = require('./temporary');
const { processesOf } = require('./traces');
const { becomesTrue } = require('../../tools/process-group');

const LIMIT = 60_000;
const HOST = '127.0.0.1';

/** Starts a process by another Node. */
const byNode = (node) => ['sh', '-c', 'shift; exec "$0" "$@"', node];

/** An upgrade that the old primary has refused, or rolled back: what the control socket has answered. */
class UpgradeError extends Error {
  constructor({ message, ...properties }) {
    super(message);
    Object.assign(this, properties);
  }
}

function addOperations(app, { file, settings, control }) {
  let current = settings;
  return Object.assign(app, {
    control,
    /** What the next primary gets instead of, or beside, what this one has. */
    change(changes) {
      current = { ...current, ...changes };
      writeFileSync(`${file}.new`, JSON.stringify(current));
      renameSync(`${file}.new`, file);
    },
    /** Puts another program in the place of the old one. */
    deploy(source) {
      const place = path.join(current.directory, PROGRAM);
      writeFileSync(`${place}.new`, source);
      renameSync(`${place}.new`, place);
    },
    /** Upgrades it, with options of `POST /upgrade`; resolves to the result. */
    async upgrade(options = {}) {
      const { status, body } = await post(control, '/upgrade', options);
      const { value, error } = JSON.parse(body);
      if (status === 200) return value;
      throw new UpgradeError(error);
    },
    /** The status of the primary that serves. */
    status: async () => (await request(control, '/status')).json(),
    /** The pids of its workers, by slot. */
    pids: async () => (await app.status()).slots.map(({ pid }) => pid),
    /** Waits until the session has only its leader, the primary that serves, and as many workers as that is to have. */
    async untilSettled() {
      let seen;
      const isSettled = async () => {
        const { pid, slots, draining, state } = await app.status();
        const wanted = new Set([app.pid, pid, ...slots.map((slot) => slot.pid)]);
        const found = processesOf(app.pid);
        seen = { state, wanted: [...wanted], found, draining };
        const areReady = slots.every((slot) => slot.state === 'ready');
        return state === 'ready' && areReady && found.length === wanted.size;
      };
      if (await becomesTrue(isSettled, LIMIT)) return seen;
      throw new Error(`it does not settle: ${JSON.stringify(seen)}`);
    },
    /** Stops it by a signal to the first process; resolves to how that has ended. */
    async stop() {
      app.signal('SIGTERM');
      return app.exited;
    },
  });
}

/**
 * Deploys a program, and starts `fixtures/supervise/upgraded.js`, which supervises it. Resolves when its workers are
 * ready.
 *
 * @param {object} options
 * @param {string} options.program the source
 * @param {object} [options.settings] of the primary: see the fixture
 * @param {string} [options.node] the path of the Node that runs the first primary
 */
async function startUpgraded(t, { program, settings, node, env, ...how }) {
  const directory = temporaryDirectory(t);
  const runtime = temporaryDirectory(t);
  const temporary = path.join(runtime, 'tmp');
  mkdirSync(temporary);
  writeFileSync(path.join(directory, PROGRAM), program);
  const file = path.join(directory, 'settings.json');
  const admin = { host: HOST, port: await freePort() };
  const all = {
    exec: PROGRAM,
    directory,
    name: NAME,
    admin: `${admin.host}:${admin.port}`,
    workers: 2,
    minUptime: 200,
    restartDelay: 50,
    ...settings,
  };
  writeFileSync(file, JSON.stringify(all));
  const app = start(t, 'supervise/upgraded', {
    args: [file],
    env: { XDG_RUNTIME_DIR: runtime, TMPDIR: temporary, ...env },
    ...(node && { launcher: byNode(node) }),
    timeout: LIMIT,
    ...how,
  });
  const control = { socketPath: path.join(runtime, 'rs-cluster', `${NAME}.sock`) };
  addOperations(app, { file, settings: all, control });
  const { serves } = await app.line({ successor: false });
  return Object.assign(app, { admin, runtime, first: serves });
}

module.exports = { HOST, UpgradeError, byNode, startUpgraded };
