'use strict';

// Errors that look like Node's own: same class, same `code`, same shape of the text.

const { getSystemErrorName, inspect } = require('node:util');

function make(Base, code, message) {
  const error = new Base(message);
  error.code = code;
  // The stack shows `TypeError [CODE]`, while `error.name` stays `TypeError`.
  error.name = `${Base.name} [${code}]`;
  error.stack;
  delete error.name;
  return error;
}

/** A failed system call, by its negated errno: `spawn /bin/node ENOENT`. */
function errnoException(errno, syscall) {
  const code = getSystemErrorName(errno);
  const error = new Error(`${syscall} ${code}`);
  return Object.assign(error, { errno, code, syscall });
}

/** Why the addon can't be loaded. */
function loading(code, message, cause) {
  const error = make(Error, code, message);
  return cause === undefined ? error : Object.assign(error, { cause });
}

function received(value) {
  if (value == null) return `Received ${value}`;
  if (typeof value === 'function') return `Received function ${value.name}`;
  if (typeof value === 'object') {
    return value.constructor?.name
      ? `Received an instance of ${value.constructor.name}`
      : `Received ${inspect(value, { depth: -1 })}`;
  }
  const text = inspect(value, { colors: false });
  return `Received type ${typeof value} (${text.length > 28 ? `${text.slice(0, 25)}...` : text})`;
}

function describe(name) {
  return name.includes('.') ? `"${name}" property` : `"${name}" argument`;
}

module.exports = {
  /** Node's permission model, or `--no-addons`. */
  addonsRefused: (cause) =>
    loading(
      'ERR_RS_CLUSTER_ADDONS_REFUSED',
      "Node refuses to load rs-cluster's addon: run it with --allow-addons where the permission " +
        'model is on (--permission), and without --no-addons.',
      cause,
    ),
  /** What Node's permission model says of `--allow-…` flags that were not given. */
  accessDenied: (permission, flag, resource) =>
    Object.assign(
      make(
        Error,
        'ERR_ACCESS_DENIED',
        `Access to this API has been restricted. Use ${flag} to manage permissions.`,
      ),
      { permission, resource },
    ),
  errnoException,
  internalAssertion: (message) => make(Error, 'ERR_INTERNAL_ASSERTION', message),
  invalidArgType: (name, expected, value) =>
    make(
      TypeError,
      'ERR_INVALID_ARG_TYPE',
      `The ${describe(name)} must be ${expected}. ${received(value)}`,
    ),
  invalidArgValue: (name, value, reason = 'is invalid') =>
    make(
      TypeError,
      'ERR_INVALID_ARG_VALUE',
      `The ${describe(name)} ${reason}. Received ${inspect(value)}`,
    ),
  invalidHandleType: () =>
    make(TypeError, 'ERR_INVALID_HANDLE_TYPE', 'This handle type cannot be sent'),
  ipcChannelClosed: () => make(Error, 'ERR_IPC_CHANNEL_CLOSED', 'Channel closed'),
  ipcDisconnected: () => make(Error, 'ERR_IPC_DISCONNECTED', 'IPC channel is already disconnected'),
  ipcOnePipe: () => make(Error, 'ERR_IPC_ONE_PIPE', 'Child process can have only one IPC pipe'),
  ipcRequired: (name) =>
    make(
      Error,
      'ERR_CHILD_PROCESS_IPC_REQUIRED',
      `Forked processes must have an IPC channel, missing value 'ipc' in ${name}`,
    ),
  loading,
  laneFault: (reason) => make(Error, 'ERR_RS_CLUSTER_LANE', reason),
  missingArgs: (name) =>
    make(TypeError, 'ERR_MISSING_ARGS', `The "${name}" argument must be specified`),
  notLoaded: (reason) => make(Error, 'ERR_RS_CLUSTER_NOT_LOADED', reason),
  outOfRange: (name, value) =>
    make(
      RangeError,
      'ERR_OUT_OF_RANGE',
      `The value of "${name}" is out of range. It must be an integer of 32 bits. Received ${value}`,
    ),
  socketBadPort: (value) =>
    make(RangeError, 'ERR_SOCKET_BAD_PORT', `Port should be >= 0 and < 65536. ${received(value)}.`),
  unknownSignal: (signal) =>
    make(TypeError, 'ERR_UNKNOWN_SIGNAL', `Unknown signal: ${String(signal)}`),
};
