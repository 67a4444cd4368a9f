'use strict';

// What the two cluster modules tell each other. The other one may be no program of ours: what it says is
// looked at before anything is done with it.

const isAbsent = (value) => value === undefined || value === null;
const isCount = (value) => Number.isSafeInteger(value) && value >= 0;
const isText = (value) => typeof value === 'string';
const isNumber = (value) => typeof value === 'number';
const FAMILIES = [4, 6, -1, 'udp4', 'udp6'];

/** What the members of an internal message have to be, by its `act`. Others have none. */
const MEMBERS = new Map([
  [
    'listening',
    {
      address: (value) => isAbsent(value) || isText(value),
      port: (value) => isAbsent(value) || isText(value) || isNumber(value),
      addressType: (value) => isAbsent(value) || FAMILIES.includes(value),
      fd: (value) => isAbsent(value) || isNumber(value),
    },
  ],
  ['countSockets', { key: isCount, question: isCount }],
  ['awaitSockets', { key: isCount, question: isCount }],
  ['sockets', { question: isCount, count: isCount }],
]);

/** @throws {TypeError} unless it is an internal message, of whatever kind */
function check(message) {
  if (message === null || typeof message !== 'object' || !isText(message.act)) {
    throw new TypeError('it is not an internal message');
  }
  for (const [name, isValid] of Object.entries(MEMBERS.get(message.act) ?? {})) {
    if (!isValid(message[name])) throw new TypeError(`'${name}' of '${message.act}' is not one`);
  }
}

module.exports = { check };
