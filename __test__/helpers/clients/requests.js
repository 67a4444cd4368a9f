'use strict';

// The requests that clients send to the programs of `fixtures/drain/frameworks`.
const { check } = require('./load');

const LONGEST_ANSWER_TIME = 40;
const LARGEST_BODY = 30_000;

/** The request with this number, and what checks the text of its answer. Most are small POST requests. */
function requestOf({ client, number }) {
  const kind = number % 10;
  if (kind === 3) return get('/', (text) => check(/^ok \d+$/.test(text) ? '' : text, ''));
  if (kind === 7) {
    const ms = Math.floor(Math.random() * LONGEST_ANSWER_TIME);
    return get(`/slow?ms=${ms}`, (text) => check(text, `slow ${ms}`));
  }
  const size = kind === 9 ? Math.floor(Math.random() * LARGEST_BODY) : 0;
  const body = `request ${number} of client ${client}${'.'.repeat(size)}`;
  return { method: 'POST', path: '/echo', body, verify: (text) => check(text, body) };
}

function get(path, verify) {
  return { method: 'GET', path, body: undefined, verify };
}

module.exports = { requestOf };
