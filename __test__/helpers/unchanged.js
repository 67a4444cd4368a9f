'use strict';

const { setTimeout: pause } = require('node:timers/promises');
const { everyShape } = require('../../bench/lib/every-shape');
const { assertNoneClosed, assertNothingLost, load } = require('./load');
const { answerLimit, startUpgradedTraffic } = require('./supervised-traffic');
const { descriptorsOf, filesIn, listeningOn, processesOf } = require('./traces');
const { becomesTrue } = require('../../tools/process-group');

const SHAPES = ['connections', 'open', 'get', 'post', 'pipeline', 'silent', 'burst'];
const LIMIT = 600_000;
/** The workers of a successor have to be well for so long, in ms: it fails before. */
const MIN_UPTIME = 1_000;
/** For an upgrade that only a timeout ends, in ms. */
const SOON = 3_000;
const PHASES = ['start', 'handshake', 'ready', 'canary', 'commit'];

const WITHIN = 10_000;
/** How often descriptors are counted: clients open and close some all the time. */
const COUNTS = 20;
const BETWEEN = 5;
/** The copy of the package that a primary has made: the next one removes it if this one was killed. */
const COPY = /rs-cluster-[^/]*\d+-/;

/** The least number of descriptors of a process in a while. */
async function leastDescriptors(pid) {
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < COUNTS; i += 1) {
    least = Math.min(least, descriptorsOf(pid).length);
    await pause(BETWEEN);
  }
  return least;
}

const filesOf = (app) => filesIn(app.runtime).filter((file) => !COPY.test(file));

/**
 * Notes what an upgraded program has, and returns a function that fails if it has, or does, anything else later.
 *
 * @param {number[]} ports on which it listens
 */
async function noteState(app, ports) {
  const facts = async () => {
    const { pid, generation, state, slots } = await app.status();
    return {
      pid,
      generation,
      state,
      workers: slots.map((slot) => [slot.pid, slot.state, slot.restarts]),
      listening: ports.map(listeningOn),
      files: filesOf(app),
    };
  };
  const before = await facts();
  const processes = processesOf(app.pid);
  const descriptors = await leastDescriptors(before.pid);
  return async (t, after) => {
    t.deepEqual(await facts(), before, after);
    const areGone = () => `${processesOf(app.pid)}` === `${processes}`;
    await becomesTrue(areGone, WITHIN);
    t.deepEqual(processesOf(app.pid), processes, `processes after ${after}`);
    let now;
    const areClosed = async () => {
      now = await leastDescriptors(before.pid);
      return now <= descriptors;
    };
    await becomesTrue(areClosed, WITHIN);
    t.true(now <= descriptors, `descriptors after ${after}: ${now}, before: ${descriptors}`);
  };
}

/** Shapes whose clients keep their connections, or open new ones; few, so that the machine is not always busy. */
const shapesFor = (at) => everyShape(at).filter(({ shape, name = shape }) => SHAPES.includes(name));

/** The ports of all servers of the program. */
const portsOf = ({ http, https, h2c, h2 }) =>
  [http, https, h2c, h2].map((address) => Number(address.split(':')[1]));

/** The error of an upgrade that fails. */
async function rejection(t, promise, what) {
  const error = await t.throwsAsync(promise, undefined, what);
  t.regex(error.code, /^ERR_RS_CLUSTER_/, `${what}: ${error.message}`);
  t.true(PHASES.includes(error.phase), `${what}: ${error.phase}`);
  t.true(error.message.length > 10, what);
  return error;
}

/**
 * Plays traffic while upgrades fail, which no client may notice; then an upgrade has to succeed.
 *
 * @param {object} settings of the primary
 * @param {(app: object, assertUnchanged: Function, traffic: object) => Promise<void>} operate
 * @param {object} [how] it starts, as `start()` of a fixture takes it
 */
async function unnoticed(t, settings, operate, how) {
  t.timeout(LIMIT);
  const { app, at, logs } = await startUpgradedTraffic(t, {
    settings: { minUptime: MIN_UPTIME, ...settings },
    timeout: LIMIT,
    ...how,
  });
  const assertUnchanged = await noteState(app, portsOf(at));
  const shapes = shapesFor(at);
  const result = await load(t, shapes, {
    logs,
    answerLimitMs: answerLimit(),
    operate: (traffic) => operate(app, assertUnchanged, traffic),
  });
  app.change({ breaks: undefined, plays: undefined });
  const { pid, generation } = await app.upgrade();
  t.is(generation, 2);
  await app.untilSettled();
  t.is((await app.status()).pid, pid);
  t.is((await app.stop()).code, 0);
  assertNothingLost(t, result);
  assertNoneClosed(t, result, shapes);
  t.deepEqual(app.seen({ on: 'supervisor', event: 'backoff' }), []);
}

module.exports = { LIMIT, MIN_UPTIME, SOON, noteState, rejection, shapesFor, unnoticed };
