'use strict';

// Decides whether a program does the same under both implementations.

const rules = require('../rules.js');
const { differences } = require('./compare.js');
const { minimize } = require('./minimize.js');
const { REFERENCE, run } = require('./run.js');
const { toSource } = require('./source.js');

// How many runs precede the verdict that a program differs. In some of them, processes are slow at times,
// by SLOWNESS milliseconds: results that depend on which process is faster also differ under the reference.
// An order that occurs once in a hundred processes takes this many runs to appear there. Without a real
// difference, most comparisons end by the third run.
const RUNS = 40;
const RUNS_TO_MINIMIZE = 6;
const SLOWNESS = 5;

class Judge {
  /** How many programs differed under the reference itself. */
  masked = 0;
  #implementation;
  #how;

  /**
   * @param {string} implementation the path of the module that is compared with the reference
   * @param {object} how as for `run()`: `node` and `limit`
   */
  constructor(implementation, how) {
    this.#implementation = implementation;
    this.#how = how;
  }

  /** Resolves to the differences that remain after several runs, with the statements. */
  async judge(statements, slot, runs = RUNS) {
    const source = toSource(statements);
    const how = { ...this.#how, slot };
    const expected = [await this.#trace(source, REFERENCE, how)];
    const actual = [await this.#trace(source, this.#implementation, how)];
    let found = differences(expected, actual);
    if (found.length === 0) return { statements, differences: [] };
    for (let left = runs; left > 0 && found.length > 0; left -= 1) {
      const slowness = left % 3 === 0 ? 0 : SLOWNESS;
      expected.push(await this.#trace(source, REFERENCE, { ...how, slowness }));
      if (left % 2 === 0) {
        actual.push(await this.#trace(source, this.#implementation, { ...how, slowness }));
      }
      found = differences(expected, actual);
    }
    if (found.length === 0) this.masked += 1;
    return { statements, differences: found };
  }

  /** Resolves to the smallest list of statements that still shows one of the same differences. */
  async minimize(statements, differences) {
    const kinds = new Set(differences.map(kindOf));
    let found = differences;
    const smallest = await minimize(statements, async (candidate) => {
      const verdict = await this.judge(candidate, 0, RUNS_TO_MINIMIZE);
      const same = verdict.differences.filter((it) => kinds.has(kindOf(it)));
      if (same.length > 0) found = same;
      return same.length > 0;
    });
    return { smallest, found };
  }

  async #trace(source, implementation, how) {
    const { trace } = await run(source, implementation, how);
    for (const { apply } of rules) apply?.(trace);
    return trace;
  }
}

/** The stream in which two texts differ, and the first events that do. */
function kindOf({ stream, expected, actual }) {
  const [lines, others] = [expected, actual].map((text) => text.split('\n'));
  const at = lines.findIndex((line, index) => line !== others[index]);
  const event = (line = 'nothing') => line.split(' ', 2).join(' ');
  const [first, second] = at === -1 ? [undefined, others[lines.length]] : [lines[at], others[at]];
  return `${stream}: ${event(first)} / ${event(second)}`;
}

module.exports = { Judge };
