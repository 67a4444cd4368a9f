'use strict';

// What else the machine does while a round is measured.

const os = require('node:os');
const { readTimes } = require('./process-times.js');

/** How many processors others may use during a round. */
const OTHER_LOAD_LIMIT = 0.5;
/** With fewer, client and server never run at the same time. */
const LEAST_PROCESSORS = 2;

const MARK = '†';

/** How many processors others used between two readings of the times; null if that is unknown. */
function otherLoadBetween(before, after) {
  if (!before || !after) return null;
  const seconds = after.at - before.at;
  const used = seconds * after.processors - (after.idle - before.idle);
  const own = after.own - before.own;
  // The readings have ticks of 10 ms.
  return Math.max((used - own) / seconds, 0);
}

function isDisturbed(otherLoad, processors = os.availableParallelism()) {
  return processors < LEAST_PROCESSORS || otherLoad > OTHER_LOAD_LIMIT;
}

/**
 * Adds to the result of `measure()` the `otherLoad` meanwhile, and whether that makes it `disturbed`. What it has
 * started must still run when it resolves, or have been waited for by a parent that does: the times of orphans that
 * have ended are lost, and would count as those of others.
 */
async function watchOthers(measure) {
  const before = readTimes();
  const measured = await measure();
  const otherLoad = otherLoadBetween(before, readTimes());
  return { ...measured, otherLoad, disturbed: isDisturbed(otherLoad) };
}

/** One line about the rounds of an opponent that were disturbed, if any. */
function describeDisturbance(where, rounds) {
  const disturbed = rounds.filter((round) => round.disturbed);
  if (disturbed.length === 0) return [];
  const load = Math.max(...rounds.map(({ otherLoad }) => otherLoad ?? 0));
  const count = `${disturbed.length} of ${rounds.length} rounds`;
  return [`${MARK} ${where}: ${count} disturbed; others used up to ${load.toFixed(2)} processors`];
}

/** What to say about a machine on which nothing can be measured well. */
function describeProcessors(processors = os.availableParallelism()) {
  if (processors >= LEAST_PROCESSORS) return [];
  const count = `${processors} ${processors === 1 ? 'processor' : 'processors'}`;
  return [`${MARK} ${count} for clients and servers: all figures are marked, do not trust them`];
}

const FOOTNOTE =
  `${MARK} Disturbed: in at least one round other processes used more than ${OTHER_LOAD_LIMIT} processors, or there ` +
  `were fewer than ${LEAST_PROCESSORS}. Ratios to such a figure are as doubtful as it is.`;

module.exports = {
  FOOTNOTE,
  MARK,
  describeDisturbance,
  describeProcessors,
  isDisturbed,
  otherLoadBetween,
  watchOthers,
};
