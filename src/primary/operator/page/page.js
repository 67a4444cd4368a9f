'use strict';

// Puts together what the other files have.

const BACK_FOR = 5_000;
const ANNOUNCE_EVERY = 3_000;
const FAVICON_COLORS = {
  good: '#16a34a',
  info: '#2563eb',
  warn: '#d97706',
  bad: '#dc2626',
  idle: '#71717a',
};

const context = { status: undefined, receivedAt: 0, lostSince: undefined, backUntil: 0 };
const samples = new Samples();
const tables = {
  slots: slotsTable(samples, context),
  draining: drainingTable(samples),
  listeners: listenersTable(),
  blocked: blockedTable(),
};
const map = new SlotMap();
const changes = new Changes();
const events = new EventList();
const rateChart = new Chart(byId('rate-chart'), {
  lines: ['rate'],
  isFilled: true,
  scale: linear,
  format: count,
});
const latencyChart = new Chart(byId('latency-chart'), {
  lines: ['p50', 'p99'],
  scale: logarithmic,
  format: latency,
  formatMark: power,
});

/** How long ago the shown status was made, by this machine's clock. */
const shownFor = () => performance.now() - context.receivedAt;

/** What the clock of the primary says now. */
const primaryNow = () => context.status.now + shownFor();

function onStatus(status) {
  const before = context.status;
  const isBack = context.lostSince !== undefined;
  if (isBack && before) {
    const isOther = before.pid !== status.pid || before.started !== status.started;
    context.backUntil = performance.now() + BACK_FOR;
    context.backText = isOther
      ? `Connected again, to another primary (pid ${status.pid}).`
      : 'Connected again.';
  }
  Object.assign(context, { status, receivedAt: performance.now(), lostSince: undefined });
  samples.add(status);
  render(status);
  renderBand();
}

function onFailure(reason) {
  context.lostSince ??= performance.now();
  context.lostReason = reason;
  renderBand();
}

function render(status) {
  renderFacts(status);
  renderTotals(status);
  renderCharts(status);
  tables.slots.update(status.slots);
  tables.draining.update(status.draining);
  tables.listeners.update(status.listeners ?? []);
  tables.blocked.update(status.blocked ?? []);
  map.update(status.slots);
  changes.update(status.slots, tables.slots);
  events.update(status.events ?? [], primaryNow());
}

function renderFacts({ name, generation, uptime, pid, node, version }) {
  show('name', name ?? 'rs-cluster');
  show('generation', count(generation));
  show('uptime', age(uptime));
  show('pid', pid ?? UNKNOWN);
  show('node', node ?? UNKNOWN);
  show('version', version ?? UNKNOWN);
}

const sum = (list, read) => list.map(read).reduce((all, it) => all + (it ?? 0), 0);

function renderTotals({ slots, draining, listeners = [], totals = {} }) {
  const all = [...slots, ...draining];
  const ready = slots.filter((slot) => slotState(slot) === 'ready').length;
  const known = slots.map((it) => samples.cpu(it.slot, it.worker)).filter(isNumber);
  const leaving = draining.map((it) => samples.cpuOfDraining(it.worker));
  const used = known.length > 0 ? sum([...known, ...leaving], (it) => it) : null;
  const values = {
    ready: `${ready}/${slots.length}`,
    open: count(sum(all, (it) => it.open)),
    waiting: count(sum(all, (it) => it.waiting) + sum(listeners, (it) => it.waiting)),
    cpu: percent(used),
    memory: bytes(sum(all, (it) => it.memory)),
    rescued: count(totals.rescued),
    restarts: count(totals.restarts),
    cut: count(totals.cut),
    reloads: `${count(totals.reloads)}${totals.reloadsFailed > 0 ? `, ${count(totals.reloadsFailed)} failed` : ''}`,
  };
  for (const [key, value] of Object.entries(values)) {
    show(`total-${key}`, value);
    byId(`total-${key}`).classList.toggle('quiet', value === '0' || value === UNKNOWN);
  }
}

/** The newest value of the last ten seconds: seconds without a connection have none. */
const lastKnown = (values) => values.slice(-10).findLast(isNumber);

function renderCharts({ history = {} }) {
  const { accepted = [], p50 = [], p99 = [] } = history;
  const highest = Math.max(0, ...accepted.filter(isNumber));
  const [nowP50, nowP99] = [p50, p99].map(lastKnown);
  show('rate', count(accepted.at(-1)));
  show('rate-peak', accepted.length > 0 ? `peak ${count(highest)}` : '');
  show('p50', latency(nowP50));
  show('p99', latency(nowP99));
  for (const id of ['rate', 'p50', 'p99']) {
    byId(id).classList.toggle('quiet', byId(id).textContent === UNKNOWN);
  }
  const span = 'over the last 2 minutes';
  rateChart.update(
    [accepted],
    `Connections per second ${span}: now ${count(accepted.at(-1))}, at most ${count(highest)}`,
  );
  const slowest = Math.max(0, ...p99.filter(isNumber));
  latencyChart.update(
    [p50, p99],
    `Hand-over latency ${span}: now p50 ${latency(nowP50)}, p99 ${latency(nowP99)}; highest p99 ${latency(slowest)}`,
  );
}

/** What the band says: the state, or that the connection is lost, or back. */
function bandLook() {
  const { status, lostSince, lostReason, backUntil, backText } = context;
  if (lostSince !== undefined) {
    const word = status ? 'Connection lost' : 'No connection';
    return { shape: 'bad', tone: 'lost', word, sentence: lostReason };
  }
  const sentence = stateSentence(status);
  if (performance.now() < backUntil)
    return { shape: 'good', tone: 'back', word: backText, sentence };
  return { ...stateLook(status), sentence };
}

function renderBand() {
  const look = bandLook();
  const isLost = look.tone === 'lost';
  setAttribute(byId('band'), 'data-tone', look.tone);
  setAttribute(byId('band-shape'), 'href', `#shape-${look.shape}`);
  show('state', look.word);
  show('sentence', look.sentence);
  renderAge();
  byId('content').classList.toggle('old', isLost && context.status !== undefined);
  announce(`${look.word}. ${look.sentence}`);
  renderTab(look, isLost);
}

function renderAge() {
  const { status, lostSince } = context;
  if (!status) return show('age', '');
  if (lostSince === undefined) return show('age', 'Live');
  return show('age', `This is how it was ${age(shownFor())} ago`);
}

function renderTab({ word, tone, shape: name }, isLost) {
  const { status } = context;
  const title = [word, status?.name ?? 'rs-cluster'].join(' · ');
  if (document.title !== title) document.title = title;
  const known = isLost ? 'bad' : tone === 'back' ? 'good' : tone;
  const serializer = new XMLSerializer();
  const parts = [...byId(`shape-${name}`).children];
  const inside = parts.map((it) => serializer.serializeToString(it)).join('');
  const picture = `<svg xmlns="${SVG}" viewBox="0 0 16 16" color="${FAVICON_COLORS[known]}">${inside}</svg>`;
  setAttribute(byId('favicon'), 'href', `data:image/svg+xml,${encodeURIComponent(picture)}`);
}

/** Tells screen readers when the state changes, but not at each of several changes in a row. */
const announce = (() => {
  let timer;
  let wanted = '';
  let last = -ANNOUNCE_EVERY;
  return (text) => {
    wanted = text;
    if (timer !== undefined || byId('announcement').textContent === wanted) return;
    timer = setTimeout(
      () => {
        timer = undefined;
        last = performance.now();
        show('announcement', wanted);
      },
      Math.max(0, last + ANNOUNCE_EVERY - performance.now()),
    );
  };
})();

/** While the connection is lost, or just back, time goes on though no status comes. */
function tick() {
  if (document.hidden || !context.status) return;
  if (context.lostSince !== undefined || context.backUntil > 0) renderBand();
  events.update(context.status.events ?? [], primaryNow());
}

watchScrollers();
setInterval(tick, INTERVAL);
new Poll(onStatus, onFailure).ask();
