'use strict';

// Makes small random programs. A program is a list of statements, each with its section, so that a difference
// can be narrowed down by leaving statements out: a program runs without any of its statements.

const { Random } = require('../../tools/random.js');
const { primaryStatements, settings } = require('./primary-statements.js');
const { workerStatements } = require('./worker-statements.js');

const MOST_WORKERS = 3;
const MOST_STEPS = 8;
const MOST_COMMANDS = 4;

/** @typedef {{section: string, code: string}} Statement `section` as in source.js */

/** The state of a program while it is made: the names that its statements can use. */
class Draft {
  statements = [];
  workers = 0;
  /** Commands that the main program can send to its workers: `{ worker, command }`. */
  commands = [];
  /** The names of the workers' servers; a server may or may not listen. */
  servers = [];
  /** Clients and handles of the primary. */
  clients = [];
  handles = [];
  #names = 0;

  constructor(random) {
    this.random = random;
  }

  name(prefix) {
    this.#names += 1;
    return `${prefix}${this.#names}`;
  }

  add(section, code) {
    this.statements.push({ section, code });
  }
}

/** @returns {Statement[]} */
function generate(seed) {
  const random = new Random(seed);
  const draft = new Draft(random);
  if (!random.oneIn(6)) draft.add('primary', 'survive();');
  if (random.oneIn(4)) draft.add('primary', 'cluster.schedulingPolicy = cluster.SCHED_NONE;');
  if (random.oneIn(3)) draft.add('main', settings(random));
  addWorker(draft);
  const steps = 2 + random.below(MOST_STEPS - 1);
  for (let step = 0; step < steps; step += 1) {
    addStep(draft);
    // Results of simultaneous actions differ from run to run, so they rarely show a difference.
    if (!random.oneIn(5)) draft.add('main', 'await barrier();');
  }
  return draft.statements;
}

function addWorker(draft, section = 'main') {
  const { random } = draft;
  draft.workers += 1;
  const number = draft.workers;
  draft.add(section, forkOf(random, number));
  if (section === 'main' && !random.oneIn(8))
    draft.add('main', `await until(${number}, 'online');`);

  if (random.oneIn(2)) draft.add(`worker ${number}`, 'survive();');
  for (const code of random.list(2, () => workerStatements(draft, number))) {
    draft.add(`worker ${number}`, code);
  }
  const commands = 1 + random.below(MOST_COMMANDS);
  for (let command = 0; command < commands; command += 1) {
    for (let left = 1 + random.below(3); left > 0; left -= 1) {
      draft.add(`command ${number} ${command}`, workerStatements(draft, number));
    }
    draft.commands.push({ worker: number, command });
  }
  for (let left = random.below(3); left > 0; left -= 1) addHook(draft, number);
}

function forkOf(random, number) {
  const env = random.oneIn(5) ? "{ EXTRA: 'extra' }" : 'undefined';
  const isHeard = !random.oneIn(6);
  const call = `fork(${number}, ${env}, ${isHeard});`;
  return random.oneIn(6) ? `context.run('fork ${number}', () => ${call.slice(0, -1)});` : call;
}

/** A listener of the primary that acts on an event of a worker. */
function addHook(draft, number) {
  const { random } = draft;
  const event = random.pick(['online', 'listening', 'message', 'disconnect', 'exit', 'fork']);
  const via =
    event === 'fork' ? 'cluster' : random.pick(['worker', 'worker', 'process', 'cluster']);
  const how = random.pick(['on', 'once', 'prependListener', 'prependOnceListener']);
  const section = `hook ${number} ${via} ${how} ${event}`;
  for (let left = 1 + random.below(2); left > 0; left -= 1) {
    draft.add(section, hooked(draft, number, section));
  }
}

function hooked(draft, number, section) {
  const { random } = draft;
  if (random.oneIn(5)) return `throw new Error('thrown in ${section}');`;
  if (random.oneIn(10) && draft.workers < MOST_WORKERS) {
    addWorker(draft, section);
    return `trace(':hook', 'forked');`;
  }
  return primaryStatements(draft, number, { isAwaited: false }).join(' ');
}

function addStep(draft) {
  const { random } = draft;
  const what = random.weighted({ command: 5, statement: 6, fork: 1 });
  if (what === 'fork' && draft.workers < MOST_WORKERS) addWorker(draft);
  else if (what === 'command' && draft.commands.length > 0) addCommand(draft);
  else {
    const number = 1 + random.below(draft.workers);
    for (const code of primaryStatements(draft, number, { isAwaited: true }))
      draft.add('main', code);
  }
}

function addCommand(draft) {
  const { worker, command } = draft.random.pick(draft.commands);
  draft.add(
    'main',
    `attempt('run ${worker} ${command}', () => worker(${worker}).send({ run: ${command} }));`,
  );
  if (!draft.random.oneIn(8)) draft.add('main', `await until(${worker}, 'ran ${command}');`);
}

module.exports = { generate };
