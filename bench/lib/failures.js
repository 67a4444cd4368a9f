'use strict';

// Describes for people what went wrong in a round.

const NAMES = {
  connect: 'connect errors',
  read: 'read errors',
  write: 'write errors',
  timeout: 'timeouts',
  status: 'non-2xx responses',
  failed: 'connections failed',
  unserved: 'connections closed without an answer',
  unanswered: 'connections without an answer in time',
};

function listErrors(errors) {
  const counted = Object.entries(errors).filter(([, count]) => count > 0);
  return counted.map(([kind, count]) => `${count} ${NAMES[kind]}`);
}

function failuresOf({ requests, errors }) {
  return [...(requests === 0 ? ['nothing served'] : []), ...listErrors(errors)];
}

function failuresOfWarmUp({ errors }) {
  return listErrors(errors).map((failure) => `${failure} (warm-up)`);
}

module.exports = { failuresOf, failuresOfWarmUp };
