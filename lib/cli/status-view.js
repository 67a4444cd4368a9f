'use strict';

// What `status` shows, as lines of text.

const { NONE, bytes, duration, integer, micros, plural } = require('./format.js');
const { printable } = require('./style.js');
const table = require('./table.js');

const COLORS = {
  ready: 'green',
  starting: 'cyan',
  reloading: 'cyan',
  upgrading: 'cyan',
  draining: 'cyan',
  waiting: 'yellow',
  stopping: 'yellow',
  stalled: 'yellow',
  failed: 'red',
  stopped: 'red',
};
const EVENTS_SHOWN = 5;

/**
 * @param {object} status of GET /status
 * @param {object} how
 * @param {object} how.style of `styleFor()`
 * @param {number} how.width of the terminal
 * @param {object} [how.before] the status a moment ago, for what is per second
 */
function statusLines(status, { style, width, before }) {
  const rows = [...status.slots, ...status.draining.map((it) => ({ ...it, state: 'draining' }))];
  const lines = [
    headline(status, style),
    '',
    ...withBoldHeader(table(columns(status, before, style), rows, width), style),
  ];
  if (status.listeners?.length > 0) lines.push('', ...listenerLines(status, style, width));
  const blocked = status.blocked ?? [];
  if (blocked.length > 0) {
    lines.push('', style.bold('Blocked event loops'));
    for (const { at, count, ms } of blocked.slice(0, EVENTS_SHOWN)) {
      lines.push(`${plural(count, 'time')}, up to ${duration(ms)}: ${printable(at)}`);
    }
  }
  return lines.map((line) => clip(line, width));
}

function headline(status, style) {
  const {
    name,
    state,
    generation,
    held,
    pid,
    uptime,
    node,
    version,
    slots,
    workers,
    control,
    admin,
  } = status;
  const ready = slots.filter((it) => it.state === 'ready').length;
  const first = [
    `${style.bold(printable(name ?? 'primary'))} ${paint(state, style)}`,
    held && style.yellow('held'),
    `${ready}/${workers} workers`,
    `generation ${generation}`,
    uptime !== undefined && `up ${duration(uptime)}`,
    pid !== undefined && `pid ${pid}`,
  ];
  const second = [
    admin && `admin ${admin}`,
    control && `control ${control}`,
    node && `node ${node}`,
    version && `rs-cluster ${version}`,
  ];
  const join = (parts) => parts.filter(Boolean).join(' · ');
  const others = join(second);
  return others === '' ? join(first) : `${join(first)}\n${style.dim(printable(others))}`;
}

function columns(status, before, style) {
  const number = { isNumber: true };
  return [
    { title: 'SLOT', of: ({ slot }) => slot, ...number },
    { title: 'STATE', of: stateOf, paint: (text) => paint(text, style) },
    { title: 'WORKER', of: ({ worker }) => worker ?? NONE, ...number, rank: 5 },
    { title: 'PID', of: ({ pid }) => pid ?? NONE, ...number },
    { title: 'GEN', of: ({ generation }) => generation ?? NONE, ...number, rank: 4 },
    { title: 'UPTIME', of: uptimeOf, ...number },
    { title: 'RESTARTS', of: ({ restarts }) => integer(restarts), ...number, rank: 2 },
    { title: 'MEM', of: ({ memory }) => bytes(memory), ...number },
    cpuColumn(status, before),
    { title: 'OPEN', of: ({ open }) => integer(open), ...number },
    { title: 'WAIT', of: ({ waiting }) => integer(waiting), ...number, rank: 3 },
    { title: 'CONNS', of: (it) => integer(connections(it.total ?? it)), ...number, rank: 6 },
    ...(before ? [rateColumn(status, before)] : []),
  ].filter(Boolean);
}

function stateOf({ state, stalled, nextStart, reason }) {
  if (state === 'waiting' && nextStart !== null) return `waiting ${duration(nextStart)}`;
  if (state === 'draining' && reason) return `draining (${reason})`;
  return stalled ? 'stalled' : state;
}

function uptimeOf({ uptime, since }) {
  return duration(uptime ?? since);
}

/** The part of a processor since `before`; without that, all the time that the worker has had. */
function cpuColumn(status, before) {
  const has = [...status.slots, ...status.draining].some(({ cpu }) => typeof cpu === 'number');
  if (!has) return undefined;
  const isPart = before !== undefined;
  const of = (row) => {
    if (typeof row.cpu !== 'number') return NONE;
    if (!isPart) return duration(row.cpu);
    const old = workerOf(before, row.worker);
    const ms = status.now - before.now;
    return old === undefined || ms <= 0
      ? NONE
      : `${Math.max(0, Math.round(((row.cpu - old.cpu) / ms) * 100))}%`;
  };
  return { title: 'CPU', of, isNumber: true, rank: 1 };
}

/** The connections that the engine has handed over, and those that the worker has accepted from its own socket. */
function connections({ handedOver, accepted }) {
  return handedOver + accepted;
}

function workerOf({ slots, draining }, id) {
  return [...slots, ...draining].find(({ worker }) => worker === id);
}

function rateColumn(status, before) {
  const seconds = (status.now - before.now) / 1_000;
  const of = ({ state, slot, total }) => {
    const old = before.slots.find((it) => it.slot === slot)?.total;
    if (state === 'draining' || !total || !old || !(seconds > 0)) return NONE;
    return integer((connections(total) - connections(old)) / seconds);
  };
  return { title: 'CONN/S', of, isNumber: true };
}

function listenerLines({ listeners, history }, style, width) {
  const last = (values) => values?.filter((it) => it !== null).at(-1);
  const number = { isNumber: true };
  const shown = [
    { title: 'ADDRESS', of: ({ address }) => address },
    { title: 'ACCEPTED', of: ({ accepted }) => integer(accepted), ...number },
    { title: 'WAIT', of: ({ waiting }) => integer(waiting), ...number },
    { title: 'PARKED', of: ({ parked }) => integer(parked), ...number, rank: 3 },
    { title: 'MOVED', of: ({ moved }) => integer(moved), ...number, rank: 4 },
    { title: 'RESCUED', of: ({ rescued }) => integer(rescued), ...number, rank: 5 },
  ];
  const lines = withBoldHeader(table(shown, listeners, width), style);
  if (history === undefined) return lines;
  const [p50, p99] = [last(history.p50), last(history.p99)];
  const rate = history.accepted?.at(-1);
  const facts = [
    rate !== undefined && `${integer(rate)} connections/s`,
    p99 !== undefined && `hand-over p50 ${micros(p50)}, p99 ${micros(p99)}`,
  ].filter(Boolean);
  return facts.length > 0 ? [...lines, style.dim(facts.join(' · '))] : lines;
}

function withBoldHeader([header, ...rows], style) {
  return [style.bold(header), ...rows];
}

function paint(state, style) {
  const color = COLORS[`${state}`.split(' ')[0]];
  return color === undefined ? state : style[color](state);
}

/** Cuts lines that do not fit, because a wrapped one would spoil what is drawn in place. */
function clip(text, width) {
  return text
    .split('\n')
    .map((line) => (plainLength(line) <= width ? line : cut(line, width)))
    .join('\n');
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: our own colors
const COLOR = /\x1b\[\d+m/g;

function plainLength(line) {
  return [...line.replace(COLOR, '')].length;
}

function cut(line, width) {
  let left = width - 1;
  let result = '';
  // biome-ignore lint/suspicious/noControlCharactersInRegex: our own colors
  for (const part of line.match(/\x1b\[\d+m|[^\x1b]/gu) ?? []) {
    const isColor = part.length > 1 && part.startsWith('\x1b');
    if (isColor) result += part;
    else if (left > 0) {
      result += part;
      left -= 1;
    }
  }
  return `${result}…`;
}

/** One line, where there is no terminal to draw a table in. */
function summaryLine(status, before) {
  const { state, generation, slots, workers, draining } = status;
  const sum = (name) => slots.reduce((total, it) => total + (it[name] ?? 0), 0);
  const ready = slots.filter((it) => it.state === 'ready').length;
  const rate =
    before && status.totals
      ? (status.totals.accepted - before.totals.accepted) / ((status.now - before.now) / 1_000)
      : undefined;
  return [
    new Date(status.now ?? Date.now()).toISOString(),
    state,
    `ready ${ready}/${workers}`,
    `generation ${generation}`,
    `open ${sum('open')}`,
    `waiting ${sum('waiting')}`,
    `draining ${draining.length}`,
    `restarts ${sum('restarts')}`,
    ...(rate === undefined ? [] : [`connections/s ${Math.round(rate)}`]),
  ].join('  ');
}

module.exports = { statusLines, summaryLine };
