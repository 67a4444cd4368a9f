'use strict';

// Whether a program does the same under both implementations.

const rules = require('../rules.js');
const { differences } = require('./compare.js');
const { minimize } = require('./minimize.js');
const { REFEREE, run } = require('./run.js');
const { toSource } = require('./source.js');

// Runs in which processes are slow at times, by so many milliseconds, before a program is said to differ:
// what depends on who is faster differs under the referee as well. There an order that one process in a
// hundred may see takes as many runs to show; a difference that is none has ended most rounds by the third.
const RUNS = 40;
const RUNS_TO_MINIMIZE = 6;
const SLOWNESS = 5;

class Judge {
  /** How many programs were found to differ under the referee itself. */
  masked = 0;
  #implementation;
  #how;

  /**
   * @param {string} implementation what is compared with the referee: a module's path
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
    const expected = [await this.#trace(source, REFEREE, how)];
    const actual = [await this.#trace(source, this.#implementation, how)];
    let found = differences(expected, actual);
    if (found.length === 0) return { statements, differences: [] };
    for (let left = runs; left > 0 && found.length > 0; left -= 1) {
      const slowness = left % 3 === 0 ? 0 : SLOWNESS;
      expected.push(await this.#trace(source, REFEREE, { ...how, slowness }));
      if (left % 2 === 0) {
        actual.push(await this.#trace(source, this.#implementation, { ...how, slowness }));
      }
      found = differences(expected, actual);
    }
    if (found.length === 0) this.masked += 1;
    return { statements, differences: found };
  }

  /** Resolves to the smallest list of statements that differs in the same way at some place. */
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

/** Where two texts begin to differ, and by which events. */
function kindOf({ stream, expected, actual }) {
  const [lines, others] = [expected, actual].map((text) => text.split('\n'));
  const at = lines.findIndex((line, index) => line !== others[index]);
  const event = (line = 'nothing') => line.split(' ', 2).join(' ');
  const [first, second] = at === -1 ? [undefined, others[lines.length]] : [lines[at], others[at]];
  return `${stream}: ${event(first)} / ${event(second)}`;
}

module.exports = { Judge };
