'use strict';

// What `/status` may say, for pictures of the page and for states that take long to get for real.

const MINUTE = 60_000;
const DAY = 1_440 * MINUTE;
const NOW = Date.UTC(2026, 4, 12, 9, 30);
const SECONDS = 120;

/** Waves that look like those of a service; the same each time. */
const wave = (at, length) => Math.sin(at / length) + Math.sin(at / length / 3.3) / 3;
const noise = (at) => Math.abs(Math.sin(at * 12.9898) * 43_758.5453) % 1;

function makeSlot(slot, elapsed) {
  const connections = Math.round(1e6 + (elapsed / 1000) * (90 + 40 * noise(slot + 1)));
  return {
    slot,
    state: 'ready',
    worker: slot + 12,
    pid: 48_210 + slot,
    generation: 7,
    uptime: 2 * DAY + 260 * MINUTE + slot * 1_900 + elapsed,
    failures: 0,
    restarts: slot === 5 ? 1 : 0,
    nextStart: null,
    memory: Math.round((84 + 40 * noise(slot + 7)) * 2 ** 20),
    cpu: Math.round(5e6 + elapsed * (0.2 + 0.5 * noise(slot + 3))),
    stalled: false,
    open: Math.round(40 + 30 * noise(slot + 5)),
    waiting: 0,
    accepted: 0,
    handedOver: connections,
    total: { ...COUNTS, handedOver: connections, rescued: slot === 3 ? 17 : 0 },
  };
}

const COUNTS = { accepted: 0, handedOver: 0, reclaimed: 0, rescued: 0, returned: 0, moved: 0 };

function makeHistory(second) {
  const seconds = Array.from({ length: SECONDS }, (_, index) => second + index);
  return {
    interval: 1_000,
    accepted: seconds.map((at) => Math.round(930 + 330 * wave(at, 19) + 110 * noise(at))),
    p50: seconds.map((at) => Math.round(58 + 16 * wave(at, 13) + 10 * noise(at + 1))),
    p99: seconds.map((at) => Math.round(380 * Math.exp(wave(at, 15) / 2 + noise(at + 2)))),
  };
}

const EVENTS = [
  [2 * DAY + 264 * MINUTE, { type: 'state', state: 'reloading' }],
  [2 * DAY + 262 * MINUTE, { type: 'draining', worker: 4, reason: 'reload' }],
  [2 * DAY + 260 * MINUTE, { type: 'reload', generation: 7, ms: 4_212 }],
  [2 * DAY + 259 * MINUTE, { type: 'state', state: 'ready' }],
  [42 * MINUTE, { type: 'exit', worker: 9, slot: 5, code: null, signal: 'SIGKILL' }],
  [41 * MINUTE, { type: 'replace', slot: 5, from: 9, to: 17, reason: 'crash' }],
  [95_000, { type: 'blocked', worker: 15, ms: 233, stack: 'at render (invoice.js:88:12)' }],
];

/**
 * A status of a service that does well.
 *
 * @param {object} [how]
 * @param {number} [how.slots] how many there are
 * @param {number} [how.elapsed] since the first status, in ms
 * @param {object[]} [how.changes] by slot: what is different there
 * @param {object[]} [how.events] that have happened as well, with an `ago` in ms
 */
function makeStatus({ slots = 8, elapsed = 0, changes = {}, events = [], ...rest } = {}) {
  const now = NOW + elapsed;
  const all = [...EVENTS, ...events.map(({ ago, ...event }) => [ago, event])];
  const ids = Array.from({ length: slots }, (_, slot) => slot + 12);
  return {
    name: 'shop',
    pid: 48_112,
    version: '0.1.0',
    node: 'v22.21.0',
    state: 'ready',
    generation: 7,
    held: false,
    workers: slots,
    uptime: 3 * DAY + 544 * MINUTE + elapsed,
    started: NOW - 3 * DAY,
    now,
    control: '/run/shop/shop.sock',
    admin: '127.0.0.1:9100',
    ready: true,
    slots: ids.map((_, slot) => ({ ...makeSlot(slot, elapsed), ...changes[slot] })),
    draining: [],
    blocked: [{ at: 'invoice.js:88', count: 14, ms: 412 }],
    listeners: [
      {
        ...COUNTS,
        address: '0.0.0.0:8080',
        workers: ids,
        accepted: 48_211_904,
        handedOver: 48_211_904,
        rescued: 17,
        moved: 812,
        waiting: 0,
        parked: 0,
        handoverTimes: [],
      },
    ],
    totals: {
      ...COUNTS,
      accepted: 48_211_904,
      handedOver: 48_211_921,
      rescued: 17,
      moved: 812,
      restarts: 1,
      cut: 0,
      reloads: 6,
      reloadsFailed: 0,
    },
    events: all.map(([ago, event]) => ({ time: now - ago, ...event })),
    history: makeHistory(Math.floor(elapsed / 1000)),
    ...rest,
  };
}

/** Each way in which a slot can be in trouble. */
const TROUBLES = {
  3: { stalled: true, waiting: 3 },
  5: {
    state: 'waiting',
    worker: null,
    pid: null,
    generation: null,
    uptime: null,
    memory: null,
    cpu: null,
    open: 0,
    failures: 4,
    nextStart: 2_300,
  },
  6: {
    state: 'failed',
    worker: null,
    pid: null,
    generation: null,
    uptime: null,
    memory: null,
    cpu: null,
    open: 0,
    failures: 10,
  },
  7: { state: 'starting', uptime: null },
};

const DRAINING = [
  {
    worker: 4,
    pid: 48_120,
    slot: 0,
    generation: 6,
    memory: 91e6,
    cpu: 5_000,
    stalled: false,
    open: 12,
    waiting: 0,
    reason: 'reload',
    since: 5_900,
  },
  {
    worker: 5,
    pid: 48_121,
    slot: 1,
    generation: 6,
    memory: 88e6,
    cpu: 4_000,
    stalled: true,
    open: 2,
    waiting: 0,
    reason: 'reload',
    since: 3_100,
  },
];

/** In trouble of each kind, while workers drain. */
const makeTroubledStatus = (how) => makeStatus({ changes: TROUBLES, draining: DRAINING, ...how });

/** In the middle of a reload: the first slots have workers of the next generation, two of their old ones drain. */
function makeReloadingStatus({ elapsed = 0, ...how } = {}) {
  const fresh = (slot, uptime) => ({
    worker: 20 + slot,
    pid: 52_004 + 7 * slot,
    generation: 8,
    uptime: uptime + elapsed,
    memory: Math.round((71 + 4 * slot) * 2 ** 20),
  });
  return makeStatus({
    elapsed,
    state: 'reloading',
    changes: { 0: fresh(0, 4_300), 1: fresh(1, 2_800), 2: fresh(2, 900) },
    draining: DRAINING.map((it) => ({
      ...it,
      stalled: false,
      worker: it.worker + 8,
      generation: 7,
    })),
    events: [
      { ago: 6_900, type: 'state', state: 'reloading' },
      { ago: 4_300, type: 'replace', slot: 0, from: 12, to: 20, reason: 'reload' },
      { ago: 4_290, type: 'draining', worker: 12, reason: 'reload' },
      { ago: 2_800, type: 'replace', slot: 1, from: 13, to: 21, reason: 'reload' },
      { ago: 2_790, type: 'draining', worker: 13, reason: 'reload' },
      { ago: 900, type: 'replace', slot: 2, from: 14, to: 22, reason: 'reload' },
    ],
    ...how,
  });
}

module.exports = { makeReloadingStatus, makeStatus, makeTroubledStatus };
