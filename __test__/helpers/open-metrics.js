'use strict';

// Reads OpenMetrics text as its specification has it, and throws at what that does not permit:
// https://github.com/prometheus/OpenMetrics/blob/v1.0.0/specification/OpenMetrics.md

const assert = require('node:assert');

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const NUMBER = /^(?:[+-]?Inf|NaN|[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)$/;
const LABEL = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(,|$)/;

/** What samples of a type may have behind the name of the family. */
const SUFFIXES = {
  counter: ['_total'],
  gauge: [''],
  histogram: ['_bucket', '_count', '_sum'],
  info: ['_info'],
};

/**
 * @param {string} text
 * @returns {Map<string, { type: string, help: string, unit?: string, samples: Map<string, number> }>} the
 *   families by name; the key of a sample is its line without the value
 */
function parseMetrics(text) {
  assert.match(text, /\n# EOF\n$|^# EOF\n$/, 'the end');
  const families = new Map();
  for (const line of text.split('\n').slice(0, -2)) {
    if (line.startsWith('#')) addDescription(families, line);
    else addSample([...families].at(-1), line);
  }
  for (const [name, family] of families) check(name, family);
  return families;
}

function addDescription(families, line) {
  const [, what, name, value] = /^# (TYPE|HELP|UNIT) (\S+) (.+)$/.exec(line) ?? [];
  assert.ok(what, line);
  assert.match(name, NAME);
  if (!families.has(name)) families.set(name, { samples: new Map() });
  assert.equal([...families.keys()].at(-1), name, `${line}: families do not mix`);
  const family = families.get(name);
  const key = what.toLowerCase();
  assert.equal(family[key], undefined, `${line} is there once`);
  assert.equal(family.samples.size, 0, `${line} comes before the samples`);
  family[key] = value;
}

function addSample([name, family], line) {
  const [, series, value] = /^(.+) (\S+)$/.exec(line) ?? [];
  assert.match(value ?? '', NUMBER, line);
  const [, metric, labels = ''] = /^([^{\s]+)(?:\{(.*)\})?$/.exec(series) ?? [];
  assert.ok(metric?.startsWith(name), line);
  assert.ok(SUFFIXES[family.type]?.includes(metric.slice(name.length)), line);
  const sorted = Object.entries(parseLabels(labels)).sort(([a], [b]) => (a < b ? -1 : 1));
  const key = `${metric}${JSON.stringify(sorted)}`;
  assert.ok(!family.samples.has(key), `${line} is there once`);
  const number = Number(value.replace('Inf', 'Infinity'));
  if (family.type !== 'gauge') assert.ok(number >= 0, line);
  family.samples.set(key, number);
}

function parseLabels(text) {
  const labels = {};
  let rest = text;
  while (rest !== '') {
    const [all, name, value, separator] = LABEL.exec(rest) ?? [];
    assert.ok(name !== undefined && !(name in labels), text);
    labels[name] = value.replace(/\\(.)/g, (_, letter) => (letter === 'n' ? '\n' : letter));
    rest = rest.slice(all.length);
    assert.ok(separator === '' || rest !== '', text);
  }
  return labels;
}

function check(name, { type, help, unit, samples }) {
  assert.ok(type && help, `${name} has a type and a help`);
  if (unit) assert.ok(name.endsWith(`_${unit}`), `${name} ends with its unit`);
  if (/_(?:seconds|bytes)$/.test(name)) assert.ok(unit, `${name} has a unit`);
  if (type === 'histogram') checkHistogram(name, samples);
}

/** Buckets are cumulative and in order, and the last has all. */
function checkHistogram(name, samples) {
  const before = new Map();
  for (const [key, value] of samples) {
    if (!key.startsWith(`${name}_bucket`)) continue;
    const labels = Object.fromEntries(JSON.parse(key.slice(`${name}_bucket`.length)));
    const bound = Number(labels.le.replace('Inf', 'Infinity'));
    delete labels.le;
    const of = JSON.stringify(Object.entries(labels));
    const last = before.get(of) ?? { bound: -Infinity, value: 0 };
    assert.ok(bound > last.bound && value >= last.value, key);
    before.set(of, { bound, value });
  }
  for (const [of, last] of before) {
    assert.equal(last.bound, Infinity);
    assert.equal(samples.get(`${name}_count${of}`), last.value);
    assert.ok(samples.has(`${name}_sum${of}`));
  }
}

/** The series that only grow, by their keys. */
function countersOf(families) {
  const counting = [...families.values()].filter(({ type }) => /counter|histogram/.test(type));
  return new Map(counting.flatMap(({ samples }) => [...samples]));
}

/** The sum of a metric over all of its labels. */
function sumOf(families, name) {
  const all = [...families.values()].flatMap(({ samples }) => [...samples]);
  const its = all.filter(([key]) => key.startsWith(`${name}[`));
  return its.reduce((sum, [, value]) => sum + value, 0);
}

module.exports = { countersOf, parseMetrics, sumOf };
