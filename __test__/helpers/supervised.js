'use strict';

const { renameSync, writeFileSync } = require('node:fs');
const path = require('node:path');
const { get } = require('./client');
const { start } = require('./fixture');
const { freePort } = require('./free-port');
const { MIN_UPTIME, serves } = require('./programs');
const { temporaryDirectory } = require('./temporary');
const { becomesTrue, isAlive } = require('../../tools/process-group');

const HOST = '127.0.0.1';
const PROGRAM = 'server.js';
const LIMIT = 20_000;

/** What `supervise()` gets unless a spec says otherwise. */
const DEFAULTS = { exec: PROGRAM, workers: 2, minUptime: MIN_UPTIME, restartDelay: 50 };

/** An error of a promise in the fixture, with all of its properties. */
class Rejection extends Error {
  constructor({ message, ...properties }) {
    super(message);
    for (const [key, value] of Object.entries(properties)) {
      if (value !== 'undefined') this[key] = value;
    }
  }
}

/**
 * Adds to a running `fixtures/supervise/app.js` what specs ask of it.
 *
 * @param {object} app the program
 * @param {string} directory where it is deployed
 */
function addCommands(app, directory) {
  let tokens = 0;
  return Object.assign(app, {
    directory,
    /** Lets the primary do something; resolves to the result, or rejects as its promise does. */
    async perform(name, ...args) {
      tokens += 1;
      const token = tokens;
      app.send({ token, do: name, args });
      const { value, error } = await app.line({ token });
      if (error) throw new Rejection(error);
      return value;
    },
    /** Puts another program, or another file, in the place of the old one. */
    deploy(source, file = PROGRAM) {
      const place = path.join(directory, file);
      writeFileSync(`${place}.new`, source);
      renameSync(`${place}.new`, place);
    },
    ask: (options) => get(app.target, options),
    /**
     * Sends a request that is not answered. Resolves when a worker has begun with it; `ended` resolves to the code of
     * the error that ends it. Call it again only when the previous call has resolved.
     */
    async begin(path) {
      const { length } = app.seen({ message: 'begun' });
      const ended = app.ask({ path }).catch(({ code }) => code);
      await app.linesLike({ message: 'begun' }, length + 1);
      return { ended };
    },
    /**
     * Sends requests that are not answered until each worker has one: a worker that waits for a processor may lose
     * its turn to another. Resolves to the promises of how they end, and to how many each worker has, by slot.
     */
    async beginEverywhere() {
      const ends = [];
      const isCounted = ({ slots }) =>
        slots.reduce((sum, { open }) => sum + open, 0) === ends.length;
      for (;;) {
        ends.push((await app.begin('/never')).ended);
        const { slots } = await app.statusWhen(isCounted);
        const open = slots.map((slot) => slot.open);
        if (open.every((count) => count > 0)) return { ends, open };
      }
    },
    status: () => app.perform('status'),
    /** The pids of the workers, by slot. */
    async pids() {
      return (await app.status()).slots.map(({ pid }) => pid);
    },
    /** The ids of the workers, by slot. */
    async ids() {
      return (await app.status()).slots.map(({ worker }) => worker);
    },
    /** What `status()` says as soon as it fulfills a condition. */
    async statusWhen(condition) {
      let status;
      const isSo = async () => {
        status = await app.status();
        return condition(status);
      };
      if (await becomesTrue(isSo, LIMIT)) return status;
      throw new Error(`it does not come to this: ${condition}; ${JSON.stringify(status)}`);
    },
    /** Waits until all slots have ready workers, and none drains. */
    untilSettled: () =>
      app.statusWhen(
        ({ slots, draining }) =>
          draining.length === 0 && slots.every(({ state }) => state === 'ready'),
      ),
    /**
     * How many descriptors the primary has when it has no child but the workers of its slots. A worker that has ended
     * is still there for a moment after the status has forgotten it: until JavaScript reaps it, and closes its channel.
     */
    async descriptorsWhenReaped() {
      let last;
      const areReaped = async () => {
        const before = last?.descriptors;
        last = await app.perform('count');
        const pids = new Set(await app.pids());
        const { children, descriptors } = last;
        const areWorkers = children.every((pid) => pids.has(Number(pid)));
        return areWorkers && children.length === pids.size && descriptors === before;
      };
      if (await becomesTrue(areReaped, LIMIT)) return last.descriptors;
      throw new Error(`there are not just the workers: ${JSON.stringify(last)}`);
    },
    /** The next line with this event of the supervisor that is not there yet. */
    async next(event, how) {
      const pattern = { on: 'supervisor', event, ...how };
      const { length } = app.seen(pattern);
      return (await app.linesLike(pattern, length + 1)).at(-1);
    },
    /** The lines of an event of the supervisor so far. */
    events: (event, how) => app.seen({ on: 'supervisor', event, ...how }),
    /** How many workers have been started so far. */
    started: () => app.seen({ on: 'cluster', event: 'fork' }).length,
    /** The `version` of each of so many answers, each on its own connection. */
    async versions(count = 8) {
      const versions = [];
      while (versions.length < count) versions.push((await get(app.target)).version);
      return versions;
    },
  });
}

/**
 * Deploys a program, and starts `fixtures/supervise/app.js`, which supervises it. Resolves when its workers are ready.
 *
 * @param {object} [options]
 * @param {string} [options.program] the source
 * @param {object} [options.options] for `supervise()`, on top of DEFAULTS
 * @param {boolean} [options.waits] whether to wait until the workers are ready
 * @param {string} [options.directory] where to deploy it
 */
async function startSupervised(
  t,
  {
    program = serves('one'),
    options,
    waits = true,
    directory = temporaryDirectory(t),
    env,
    ...how
  } = {},
) {
  const port = await freePort();
  writeFileSync(path.join(directory, PROGRAM), program);
  const args = [{ ...DEFAULTS, directory, args: [`${port}`], ...options }];
  // Control sockets are there, so that programs of the same name do not meet.
  const XDG_RUNTIME_DIR = temporaryDirectory(t);
  const app = start(t, 'supervise/app', { args, env: { XDG_RUNTIME_DIR, ...env }, ...how });
  app.target = { port, host: HOST };
  addCommands(app, directory);
  if (waits) await app.line({ on: 'supervisor', event: 'ready' });
  return app;
}

/** Waits until a process is gone. */
async function untilGone(pid) {
  if (!(await becomesTrue(() => !isAlive(pid), LIMIT))) throw new Error(`${pid} is still there`);
}

module.exports = { DEFAULTS, HOST, PROGRAM, startSupervised, untilGone };
