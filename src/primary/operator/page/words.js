'use strict';

// What is going on, in words.

/** How a slot is doing: a word, a shape and a color that say the same. */
const SLOT_LOOKS = {
  ready: { word: 'Ready', shape: 'good', tone: 'good' },
  stalled: { word: 'Stalled', shape: 'warn', tone: 'warn' },
  starting: { word: 'Starting', shape: 'busy', tone: 'info' },
  waiting: { word: 'Backing off', shape: 'wait', tone: 'warn' },
  failed: { word: 'Failed', shape: 'bad', tone: 'bad' },
  empty: { word: 'Empty', shape: 'none', tone: 'idle' },
};

const STATE_LOOKS = {
  starting: { word: 'Starting', shape: 'busy', tone: 'info' },
  ready: { word: 'Ready', shape: 'good', tone: 'good' },
  reloading: { word: 'Reloading', shape: 'change', tone: 'info' },
  upgrading: { word: 'Upgrading', shape: 'change', tone: 'info' },
  stopping: { word: 'Stopping', shape: 'leave', tone: 'warn' },
  failed: { word: 'Failed', shape: 'bad', tone: 'bad' },
  stopped: { word: 'Stopped', shape: 'none', tone: 'idle' },
};

const TROUBLES = [
  ['stalled', 'is stalled', 'are stalled'],
  ['failed', 'has failed', 'have failed'],
  ['waiting', 'waits to be started again', 'wait to be started again'],
];

/** A stalled worker is ready as far as the supervisor goes, but gets no connections. */
function slotState({ state, stalled }) {
  if (state === 'ready' && stalled) return 'stalled';
  return state in SLOT_LOOKS ? state : 'empty';
}

function slotNote(slot, { held, state }) {
  if (slot.state === 'waiting') {
    const next = isNumber(slot.nextStart) ? `, next in ${time(slot.nextStart)}` : '';
    return `${plural(slot.failures, 'failure')}${next}`;
  }
  if (slot.state === 'failed') return plural(slot.failures, 'failure');
  if (slot.state === 'empty') return held && state !== 'stopping' ? 'held' : '';
  if (slot.state === 'ready' && slot.stalled) return 'event loop blocked';
  return slot.failures > 0 ? plural(slot.failures, 'failure') : '';
}

/** The look of the whole, which is degraded while a worker is in trouble. */
function stateLook(status) {
  const look = STATE_LOOKS[status.state] ?? { word: status.state, shape: 'none', tone: 'idle' };
  const isTroubled = status.slots.some((slot) =>
    ['warn', 'bad'].includes(SLOT_LOOKS[slotState(slot)].tone),
  );
  if (status.state !== 'ready') return look;
  if (status.ready === false) return { word: 'Not ready', shape: 'bad', tone: 'bad' };
  return isTroubled ? { ...look, word: 'Degraded', shape: 'warn', tone: 'warn' } : look;
}

/** Whether workers are fine, and which slots are not. */
function stateSentence(status) {
  const { slots } = status;
  const ready = slots.filter((slot) => slotState(slot) === 'ready');
  const rest = TROUBLES.flatMap(([state, one, many]) => {
    const numbers = slots.filter((slot) => slotState(slot) === state).map(({ slot }) => slot);
    if (numbers.length === 0) return [];
    return numbers.length === 1 ? `Slot ${numbers[0]} ${one}.` : `Slots ${list(numbers)} ${many}.`;
  });
  const verb = ready.length === 1 || slots.length === 1 ? 'is' : 'are';
  const head = `${ready.length} of ${plural(slots.length, 'worker')} ${verb} ready.`;
  const newer = slots.filter(({ generation }) => generation > status.generation).length;
  const progress =
    status.state === 'reloading' ? [`${newer} of ${slots.length} have the next generation.`] : [];
  const held = status.held ? ['Held: no worker is replaced until release.'] : [];
  return [head, ...progress, ...rest, ...held].join(' ');
}

const SIGNALS = {
  1: 'SIGHUP',
  2: 'SIGINT',
  3: 'SIGQUIT',
  4: 'SIGILL',
  6: 'SIGABRT',
  7: 'SIGBUS',
  8: 'SIGFPE',
  9: 'SIGKILL',
  11: 'SIGSEGV',
  15: 'SIGTERM',
};

function ending({ code, exitCode = code, signal }) {
  if (signal !== null && signal !== undefined) {
    return `was ended by ${SIGNALS[signal] ?? signal}`;
  }
  return isNumber(exitCode) ? `exited with code ${exitCode}` : 'exited';
}

const PHASES = {
  start: 'before it was ready',
  ready: 'in the time in which it had to be ready',
  canary: 'soon after it was ready',
  drain: 'while it was drained',
  handshake: 'before it had begun to supervise',
  commit: 'when it was to serve',
};

/** Why a worker, a new primary, or an operation, has failed. */
function failureText(failure) {
  const { worker, what, phase, missing, message, reason } = failure ?? {};
  const isPrimary = phase === 'handshake' || phase === 'commit';
  const who = isNumber(worker) ? `worker ${worker}` : isPrimary ? 'the new primary' : 'the worker';
  const when = PHASES[phase] ? ` ${PHASES[phase]}` : '';
  const texts = {
    exited: () => `${who} ${ending(failure)}${when}`,
    timeout: () =>
      `${who} was not ready in time${missing?.length > 0 ? `: ${list(missing)} missing` : ''}`,
    fork: () => `${who} could not be started`,
    hung: () => `${who} hung${when}`,
    memory: () => `${who} took too much memory${when}`,
    fault: () => `${who} broke the protocol`,
    stopping: () => 'the supervisor stops',
    noSuchWorker: () => 'there is no such worker',
    busy: () => 'another operation was under way',
    upgraded: () => 'another primary had taken over',
    gaveUp: () => `the new primary gave up: ${reason}`,
    noCommonVersion: () => reason,
    brokeProtocol: () => `the new primary broke the protocol: ${reason}`,
  };
  return texts[what]?.() ?? message ?? 'unknown reason';
}

const REASONS = {
  start: 'first start',
  crash: 'crashed',
  hung: 'was hung',
  memory: 'memory limit',
  age: 'age limit',
  requests: 'request limit',
  ended: 'ended by the program',
  upgrade: 'another primary serves',
};

const reasonText = (reason) => REASONS[reason] ?? reason ?? UNKNOWN;

/** Events by their type: the shape, the tone, and the words. */
const EVENTS = {
  state: (it) => {
    const { word, shape, tone } = STATE_LOOKS[it.state] ?? { word: it.state };
    return [shape ?? 'none', tone ?? 'idle', `${word}`];
  },
  ready: () => ['good', 'good', 'The first workers are ready'],
  reload: (it) => ['change', 'good', `Reloaded: generation ${it.generation}, in ${time(it.ms)}`],
  upgrade: (it) => [
    'change',
    'good',
    `Upgraded: process ${it.pid} serves generation ${it.generation}, after ${time(it.ms)}`,
  ],
  takeover: (it) => ['change', 'good', `Took over from process ${it.pid} (Node ${it.node})`],
  replace: (it) => [
    'change',
    'info',
    isNumber(it.from)
      ? `Slot ${it.slot}: worker ${it.to} replaces ${it.from} (${reasonText(it.reason)})`
      : `Slot ${it.slot}: worker ${it.to} is ready (${reasonText(it.reason)})`,
  ],
  backoff: (it) => [
    'wait',
    'warn',
    `Slot ${it.slot}: ${failureText(it.failure)}; ${plural(it.failures, 'failure')}, next start in ${time(it.delay)}`,
  ],
  hung: (it) => ['warn', 'bad', `Worker ${it.worker} hung for ${time(it.ms)}, and is replaced`],
  blocked: (it) => [
    'warn',
    'warn',
    `Worker ${it.worker}: event loop blocked for ${time(it.ms)}${place(it)}`,
  ],
  draining: (it) => ['leave', 'idle', `Worker ${it.worker} drains (${reasonText(it.reason)})`],
  cut: (it) => ['bad', 'bad', `Worker ${it.worker}: ${plural(it.connections, 'connection')} cut`],
  exit: (it) => {
    const slot = isNumber(it.slot) ? ` of slot ${it.slot}` : '';
    const isClean = it.code === 0 && (it.signal ?? null) === null;
    return [
      isClean ? 'none' : 'bad',
      isClean ? 'idle' : 'bad',
      `Worker ${it.worker}${slot} ${ending(it)}`,
    ];
  },
  rejected: (it) => ['bad', 'bad', `An operation failed: ${failureText(it)}`],
  failed: (it) => ['bad', 'bad', `All slots have failed; the last: ${failureText(it.reason)}`],
  stopped: () => ['none', 'idle', 'All workers have ended'],
};

function place({ at, stack }) {
  const where = at ?? /\(?([^\s(]+:\d+):\d+\)?/.exec(stack ?? '')?.[1];
  return where ? ` at ${where}` : '';
}

/** The reports of one block come about a second apart. */
const SAME_BLOCK = 2_500;

/** A block that lasts is reported again and again; the last report says it all. */
function withoutRepeats(events) {
  return events.filter((event, index) => {
    if (event.type !== 'blocked') return true;
    const next = events.slice(index + 1).find(({ worker }) => worker === event.worker);
    const isSame = next?.ms > event.ms && next.time - event.time <= SAME_BLOCK;
    return next?.type !== 'blocked' || !isSame;
  });
}

function eventLook(event) {
  const [shape, tone, text] = EVENTS[event.type]?.(event) ?? ['none', 'idle', `${event.type}`];
  return { shape, tone, text };
}
