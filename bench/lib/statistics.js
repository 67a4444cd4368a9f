'use strict';

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** The value that `share` of the values do not exceed; null without values. */
function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.ceil(sorted.length * share) - 1] ?? null;
}

/** Median and extremes; null if a value could not be measured. */
function summarize(values) {
  if (values.length === 0 || values.some((value) => value === null)) return null;
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) };
}

/**
 * The values of `key` in all rounds: null where it could not be measured, undefined where the round failed, or was
 * left out.
 */
function valuesOf(rounds, key) {
  return rounds.map((round) => (round.failure ? undefined : (round[key] ?? null)));
}

const isMeasured = (value) => value !== undefined;

/**
 * Compares value by value, so that each round is compared with its neighbor in time: a slowdown of the
 * machine affects both.
 */
function ratios(values, baseline) {
  const pairs = values.map((value, index) => [value, baseline[index]]);
  const divide = ([value, base]) => (value === null || !base ? null : value / base);
  return pairs.filter((pair) => pair.every(isMeasured)).map(divide);
}

/** Median and extremes of the values, and of their `ratio` to those of the baseline. */
function compare(values, baseline) {
  return {
    ...summarize(values.filter(isMeasured)),
    ratio: summarize(ratios(values, baseline)),
  };
}

/** Compares the rounds of an opponent with those of a baseline, if there is one; says how many were `disturbed`. */
function compareRounds(rounds, baseline, key) {
  const disturbed = rounds.filter((round) => round.disturbed).length;
  return {
    ...compare(valuesOf(rounds, key), baseline ? valuesOf(baseline, key) : []),
    ...(disturbed > 0 && { disturbed }),
  };
}

module.exports = { compare, compareRounds, median, quantile };
