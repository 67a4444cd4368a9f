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
 * Compares value by value, so that each round is compared with its neighbor in time: a slowdown of the
 * machine affects both.
 */
function ratios(values, baseline) {
  return values.map((value, index) => {
    const base = baseline[index];
    return value === null || !base ? null : value / base;
  });
}

/** Median and extremes of the values, and of their `ratio` to those of the baseline. */
function compare(values, baseline) {
  return { ...summarize(values), ratio: summarize(ratios(values, baseline)) };
}

module.exports = { compare, median, quantile };
