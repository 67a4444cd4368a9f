'use strict';

const { readFileSync } = require('node:fs');
const path = require('node:path');
const test = require('ava');

const ROOT = path.join(__dirname, '../..');
const read = (name) => readFileSync(path.join(ROOT, name), 'utf8');
const namesIn = (text, pattern) => [...text.matchAll(pattern)].map(([, name]) => name).sort();

const modules = read('index.d.mts');

test('the types of ES modules declare every name that they export, and no other', (t) => {
  const [, names] = /export const \{([^}]+)\} = cluster/.exec(read('index.mjs'));
  t.deepEqual(namesIn(modules, /^export const (\w+)/gm), namesIn(names, /(\w+)/g));
});

test('every type of CommonJS is one of ES modules too', (t) => {
  const commonjs = read('index.d.ts');
  const types = namesIn(commonjs, /^ {2}(?:interface|type) (\w+)/gm);
  t.true(types.includes('Stats'));
  t.deepEqual(namesIn(modules, /^export type (\w+)/gm), types);
});

test('the policies have the numbers that the types declare', (t) => {
  const told = [...read('index.d.ts').matchAll(/readonly (SCHED_\w+): (\d+);/g)];
  const cluster = require('../..');
  const policies = Object.entries(cluster).filter(([name]) => name.startsWith('SCHED_'));
  t.is(policies.length, 5);
  t.deepEqual(
    Object.fromEntries(told.map(([, name, number]) => [name, Number(number)])),
    Object.fromEntries(policies),
  );
});
