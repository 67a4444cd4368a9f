'use strict';

const { readFileSync } = require('node:fs');
const path = require('node:path');
const { serial: test } = require('ava');
const { parse } = require('yaml');
const { isBuiltin } = require('../helpers/implementation');
const { parseMetrics } = require('../helpers/open-metrics');
const { OPEN_METRICS, adminOf, request, startOperated } = require('../helpers/operator');

const ROOT = path.join(__dirname, '../..');
/** What Prometheus adds, and what buckets have. */
const OTHERS = ['instance', 'job', 'le'];
/** Series with conditions, and a grouping: `name{label="value"}`, `by (label)`. */
const SERIES = /(rs_cluster_\w+)(?:\{([^}]*)\})?/g;
const GROUPING = /\b(?:by|on|without|ignoring) ?\(([^)]*)\)/g;

const read = (file) => readFileSync(path.join(ROOT, file), 'utf8');

/** The expressions of the rules, by the names of the alerts. */
function alerts() {
  const { groups } = parse(read('deploy/prometheus/alerts.yml'));
  return groups.flatMap(({ rules }) => rules).map(({ alert, expr }) => [alert, expr]);
}

/** The expressions of the panels, by their titles, and of the rest of the dashboard. */
function panels() {
  const { panels, templating, annotations } = JSON.parse(read('deploy/grafana/dashboard.json'));
  const queries = templating.list.map(({ name, query }) => [name, query.query ?? '']);
  const marks = annotations.list.map(({ name, expr }) => [name, expr]);
  const targets = panels.flatMap(({ title, targets }) => targets.map(({ expr }) => [title, expr]));
  return [...targets, ...queries, ...marks];
}

/** The metrics of a primary: by the names of their series the labels. */
async function seriesOf(t) {
  const app = await startOperated(t);
  const { body } = await request(await adminOf(app), '/metrics', OPEN_METRICS);
  const families = parseMetrics(body);
  await app.end();
  const series = new Map();
  for (const { samples } of families.values()) {
    for (const key of samples.keys()) {
      const [, name, labels] = /^([^[]+)(.*)$/.exec(key);
      series.set(name, new Set(JSON.parse(labels).map(([label]) => label)));
    }
  }
  return { families, series };
}

/** What is wrong with an expression. */
function mistakes(series, expression) {
  const used = [...expression.matchAll(SERIES)];
  if (used.length === 0) return ['no metric'];
  const unknown = used.map(([, name]) => name).filter((name) => !series.has(name));
  if (unknown.length > 0) return unknown;
  const labels = new Set([...OTHERS, ...used.flatMap(([, name]) => [...series.get(name)])]);
  const conditions = used.flatMap(([, name, conditions = '']) =>
    [...conditions.matchAll(/(\w+)(?:=~|!~|!=|=)"/g)]
      .map(([, label]) => label)
      .filter((label) => !OTHERS.includes(label) && !series.get(name).has(label)),
  );
  const groupings = [...expression.matchAll(GROUPING)].flatMap(([, list]) => list.split(/, ?/));
  return [...conditions, ...groupings.filter((label) => !labels.has(label))];
}

/** The documented metrics: names and types. */
function documented() {
  const rows = read('docs/observe.md').matchAll(/^\| `(rs_cluster_\w+)` +\| (\w+) +\|/gm);
  return [...rows].map(([, name, type]) => [name, type]);
}

// The built-in module does not supervise.
if (!isBuiltin) {
  test('alerts and dashboard ask for metrics and labels that exist', async (t) => {
    const { series } = await seriesOf(t);
    const expressions = [...alerts(), ...panels()].filter(([, expression]) => expression !== '');
    t.true(expressions.length > 30);
    for (const [name, expression] of expressions) {
      t.deepEqual(mistakes(series, expression), [], `${name}: ${expression}`);
    }
    const wrong = 'sum by (slots) (rate(rs_cluster_reloads_total{result="failed"}[5m]))';
    t.deepEqual(mistakes(series, wrong), ['result', 'slots'], 'the test finds what is wrong');
    t.deepEqual(mistakes(series, 'rs_cluster_reload_total'), ['rs_cluster_reload_total']);
  });

  test('each metric is documented, and no other one', async (t) => {
    const { families } = await seriesOf(t);
    const suffix = { counter: '_total', info: '_info' };
    const all = [...families].map(([name, { type }]) => [`${name}${suffix[type] ?? ''}`, type]);
    t.deepEqual(documented().sort(), all.sort());
  });
}

test('panels have titles of their own, and do not overlap', (t) => {
  const { panels } = JSON.parse(read('deploy/grafana/dashboard.json'));
  t.true(panels.length >= 12);
  t.is(new Set(panels.map(({ title }) => title)).size, panels.length);
  t.is(new Set(panels.map(({ id }) => id)).size, panels.length);
  const taken = new Set();
  for (const { title, gridPos } of panels) {
    const { x, y, w, h } = gridPos;
    t.true(x + w <= 24, title);
    for (let at = 0; at < w * h; at += 1) {
      const place = `${x + (at % w)}:${y + Math.floor(at / w)}`;
      t.false(taken.has(place), title);
      taken.add(place);
    }
  }
});
