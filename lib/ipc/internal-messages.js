'use strict';

// The internal messages: what the cluster modules of the primary and of a worker tell each other over the
// IPC channel, in order with the user's messages. They are made here, and nowhere else.

/** The member `act` of an internal message, which says what it is. */
const Act = Object.freeze({
  ONLINE: 'online',
  LISTENING: 'listening',
  EXITED_AFTER_DISCONNECT: 'exitedAfterDisconnect',
  ACKNOWLEDGED: 'acknowledged',
  DISCONNECT: 'disconnect',
  KILL: 'kill',
  SET_PAUSED: 'setPaused',
  COUNT_SOCKETS: 'countSockets',
  AWAIT_SOCKETS: 'awaitSockets',
  SOCKETS: 'sockets',
});

/**
 * From a worker: it has loaded the engine, and goes on to its program. It says so once.
 *
 * @typedef {object} Online
 * @property {'online'} act
 */
const online = () => ({ act: Act.ONLINE });

/**
 * From a worker: a server or a datagram socket listens. The members are those of the event `'listening'`.
 *
 * @typedef {object} Listening
 * @property {'listening'} act
 * @property {string | null} [address] as given to `listen()`, or the path of a Unix socket
 * @property {number | string} [port] that was bound
 * @property {4 | 6 | -1 | 'udp4' | 'udp6'} [addressType]
 * @property {number | null} [fd] as given to `listen()`
 */
const listening = ({ address, port, addressType, fd }) => ({
  act: Act.LISTENING,
  address,
  port,
  addressType,
  fd,
});

/**
 * From a worker: it is about to disconnect of its own accord. The primary answers with `Acknowledged`.
 *
 * @typedef {object} ExitedAfterDisconnect
 * @property {'exitedAfterDisconnect'} act
 */
const exitedAfterDisconnect = () => ({ act: Act.EXITED_AFTER_DISCONNECT });

/**
 * From the primary: the answer to one `ExitedAfterDisconnect`.
 *
 * @typedef {object} Acknowledged
 * @property {'acknowledged'} act
 */
const acknowledged = () => ({ act: Act.ACKNOWLEDGED });

/**
 * From the primary: the worker is to close its servers, and then the channel.
 *
 * @typedef {object} Disconnect
 * @property {'disconnect'} act
 */
const disconnect = () => ({ act: Act.DISCONNECT });

/**
 * From the primary: it is going to send a signal, so the worker ends if the primary dies before that.
 *
 * @typedef {object} Kill
 * @property {'kill'} act
 */
const kill = () => ({ act: Act.KILL });

/**
 * From either: `pause()` or `resume()` was called there. The primary answers a worker, with the state that
 * is in force.
 *
 * @typedef {object} SetPaused
 * @property {'setPaused'} act
 * @property {boolean} isPaused
 * @property {true} [isAnswer]
 */
const setPaused = (isPaused) => ({ act: Act.SET_PAUSED, isPaused });
const setPausedAnswer = (isPaused) => ({ act: Act.SET_PAUSED, isPaused, isAnswer: true });

/**
 * From either, which has sent sockets of a server: how many of them are open? The other answers with
 * `Sockets`.
 *
 * @typedef {object} CountSockets
 * @property {'countSockets'} act
 * @property {number} key of the server, which the sender chose
 * @property {number} question its number, which the answer repeats
 */
const countSockets = (key, question) => ({ act: Act.COUNT_SOCKETS, key, question });

/**
 * From either, which has sent sockets of a server: the other answers with `Sockets` once all of them are
 * closed.
 *
 * @typedef {object} AwaitSockets
 * @property {'awaitSockets'} act
 * @property {number} key of the server, which the sender chose
 * @property {number} question its number, which the answer repeats
 */
const awaitSockets = (key, question) => ({ act: Act.AWAIT_SOCKETS, key, question });

/**
 * From either: the answer to `CountSockets` or `AwaitSockets`.
 *
 * @typedef {object} Sockets
 * @property {'sockets'} act
 * @property {number} question the number of the question
 * @property {number} count how many sockets are open
 */
const sockets = (question, count) => ({ act: Act.SOCKETS, question, count });

const isAbsent = (value) => value === undefined || value === null;
const isCount = (value) => Number.isSafeInteger(value) && value >= 0;
const isText = (value) => typeof value === 'string';
const isNumber = (value) => typeof value === 'number';
const FAMILIES = [4, 6, -1, 'udp4', 'udp6'];

/** What members have to be. */
const MEMBERS = new Map([
  [
    Act.LISTENING,
    {
      address: (value) => isAbsent(value) || isText(value),
      port: (value) => isAbsent(value) || isText(value) || isNumber(value),
      addressType: (value) => isAbsent(value) || FAMILIES.includes(value),
      fd: (value) => isAbsent(value) || isNumber(value),
    },
  ],
  [Act.COUNT_SOCKETS, { key: isCount, question: isCount }],
  [Act.AWAIT_SOCKETS, { key: isCount, question: isCount }],
  [Act.SOCKETS, { question: isCount, count: isCount }],
]);

/**
 * The peer may run any program, so what it sends is checked before it is used. An `act` that is not in
 * `Act` passes; the receiver decides about it.
 *
 * @throws {TypeError} for anything that is not an internal message
 */
function check(message) {
  if (message === null || typeof message !== 'object' || !isText(message.act)) {
    throw new TypeError('it is not an internal message');
  }
  for (const [name, isValid] of Object.entries(MEMBERS.get(message.act) ?? {})) {
    if (!isValid(message[name])) throw new TypeError(`'${name}' of '${message.act}' is not one`);
  }
}

module.exports = {
  Act,
  acknowledged,
  awaitSockets,
  check,
  countSockets,
  disconnect,
  exitedAfterDisconnect,
  kill,
  listening,
  online,
  setPaused,
  setPausedAnswer,
  sockets,
};
