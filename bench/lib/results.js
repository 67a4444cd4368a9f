'use strict';

// The data of the report: the figures of each scenario, as last measured.

const fs = require('node:fs');
const path = require('node:path');
const { scenarioNames } = require('./scenarios.js');

const RESULTS = path.join(__dirname, '..', 'results');

function fileOf(name) {
  return path.join(RESULTS, `${name}.json`);
}

// The facts that help readers to compare; a processor's name and a kernel's build do not help.
function shorten({ nodeVersion, kernel, cores }) {
  return { nodeVersion, kernel: /^\D+\d+(\.\d+)?/.exec(kernel)?.[0] ?? kernel, cores };
}

/** The opponents that did not take part, and those of which a round failed; why is in the output of the run. */
function absencesOf({ skipped = [], cases = [], opponents = [] }) {
  const all = [...opponents, ...cases.flatMap((it) => it.opponents)];
  const failed = all.filter(({ rounds }) => rounds?.some(({ failure }) => failure));
  return {
    absent: skipped.map((line) => line.slice(0, line.indexOf(':'))),
    failed: [...new Set(failed.map(({ name }) => name))],
  };
}

/** `isQuick` tells that the rounds were fewer and shorter than usual. */
function writeResult({ name, figures, notes }, environment, result, isQuick) {
  const { rounds } = result.settings;
  const measured = { environment: shorten(environment), rounds, ...(isQuick && { isQuick }) };
  const facts = { ...measured, notes: notes?.(result), ...absencesOf(result) };
  const record = { ...facts, figures: figures(result) };
  fs.mkdirSync(RESULTS, { recursive: true });
  fs.writeFileSync(fileOf(name), `${JSON.stringify(record, null, 2)}\n`);
}

function removeResult({ name }) {
  fs.rmSync(fileOf(name), { force: true });
}

/** Reads the results of the scenarios that have been measured. */
function readResults() {
  const measured = scenarioNames.filter((name) => fs.existsSync(fileOf(name)));
  return measured.map((name) => ({ name, ...JSON.parse(fs.readFileSync(fileOf(name), 'utf8')) }));
}

module.exports = { readResults, removeResult, writeResult };
