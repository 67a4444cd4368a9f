'use strict';

// Compares the ids of requests that the clients have logged with those that the workers have logged, to tell
// what a failed request was: lost, half served or served twice. See bench/servers/parts/id-log.js.

const fs = require('node:fs');

const linesOf = (file) => fs.readFileSync(file, 'utf8').split('\n').slice(0, -1);

function readServerLog(file) {
  const requests = new Map();
  const entryOf = (id) => {
    if (!requests.has(id)) requests.set(id, { begun: [], finished: 0 });
    return requests.get(id);
  };
  for (const line of linesOf(file)) {
    const [event, id, worker] = line.split(' ');
    if (event === 'b') entryOf(id).begun.push(worker);
    else if (event === 'f') entryOf(id).finished += 1;
  }
  return requests;
}

function judge(outcome, { begun, finished }) {
  if (begun.length > 1) return 'twice';
  if (outcome === 'answered') return begun.length === 0 ? 'notLogged' : undefined;
  if (begun.length === 0) return 'lost';
  return finished === 0 ? 'halfServed' : 'servedInVain';
}

/**
 * @param {string} clientLog written by the load generator
 * @param {string} serverLog written by all workers
 * @returns {Record<string, Array<{ id: string, outcome: string, workers: string[] }>>} requests that were
 *   `lost` (no worker began them), `halfServed` (begun, not finished), `servedInVain` (finished, but the
 *   client did not get the answer), begun `twice`, or `notLogged`: answered, but not in the workers' log,
 *   which shows that a worker was killed
 */
function compareIds(clientLog, serverLog) {
  const requests = readServerLog(serverLog);
  const found = { lost: [], halfServed: [], servedInVain: [], twice: [], notLogged: [] };
  for (const line of linesOf(clientLog)) {
    const [id, outcome] = line.split(' ');
    if (id === '-') continue; // What no request had asked for.
    const request = requests.get(id) ?? { begun: [], finished: 0 };
    const verdict = judge(outcome, request);
    if (verdict) found[verdict].push({ id, outcome, workers: request.begun });
  }
  return found;
}

module.exports = { compareIds };
