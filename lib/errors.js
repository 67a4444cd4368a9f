'use strict';

// Errors that look like Node's own: same class, same `code`, same shape of the text.

const { basename } = require('node:path');
const { getSystemErrorName, inspect } = require('node:util');

/** Makes an error like Node's own: its text and stack show the code, while `error.name` stays `TypeError`. */
function make(Base, code, message) {
  const error = new Base(message);
  error.code = code;
  error.name = `${Base.name} [${code}]`;
  error.stack;
  delete error.name;
  const value = () => `${error.name} [${code}]: ${error.message}`;
  return Object.defineProperty(error, 'toString', { value, configurable: true, writable: true });
}

/** The error of a failed system call, such as `spawn /bin/node ENOENT`. `errno` is negated. */
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

/** How the running Node describes a value of the wrong type: `Received null`. */
function received(value) {
  try {
    // At least one of the two functions refuses the value.
    if (typeof value === 'function') basename(value);
    else queueMicrotask(value);
  } catch (error) {
    if (error.code !== 'ERR_INVALID_ARG_TYPE') throw error;
    return error.message.slice(error.message.indexOf('Received '));
  }
}

function describe(name) {
  return name.includes('.') ? `"${name}" property` : `"${name}" argument`;
}

module.exports = {
  /** Node's permission model or `--no-addons` forbids the addon. */
  addonsRefused: (cause) =>
    loading(
      'ERR_RS_CLUSTER_ADDONS_REFUSED',
      "Node refuses to load rs-cluster's addon: run it with --allow-addons where the permission " +
        'model is on (--permission), and without --no-addons.',
      cause,
    ),
  /** What Node's permission model throws if a flag `--allow-…` is missing. */
  accessDenied: (permission, flag, resource) =>
    Object.assign(
      make(
        Error,
        'ERR_ACCESS_DENIED',
        `Access to this API has been restricted. Use ${flag} to manage permissions.`,
      ),
      { permission, resource },
    ),
  /** What functions of Node throw if an AbortSignal ends them. */
  aborted: ({ reason }) =>
    Object.assign(new Error('The operation was aborted', { cause: reason }), {
      code: 'ABORT_ERR',
      name: 'AbortError',
    }),
  bundled: () =>
    loading(
      'ERR_RS_CLUSTER_NO_PRELOAD',
      'rs-cluster is in a bundle, where it does not find its files. The bundler has to leave ' +
        'rs-cluster out (as an external).',
    ),
  /** What Node says of `_send()` and `_disconnect()` once the channel is closed. */
  channelAssertion: () => make(Error, 'ERR_INTERNAL_ASSERTION', 'The channel is closed.'),
  errnoException,
  internalAssertion: (message) => make(Error, 'ERR_INTERNAL_ASSERTION', message),
  invalidArgType: (name, expected, value) =>
    make(
      TypeError,
      'ERR_INVALID_ARG_TYPE',
      `The ${describe(name)} must be ${expected}. ${received(value)}`,
    ),
  invalidArgValue: (name, value, reason) =>
    make(
      TypeError,
      'ERR_INVALID_ARG_VALUE',
      `The ${describe(name)} ${reason}. Received ${inspect(value)}`,
    ),
  invalidHandleType: () =>
    make(TypeError, 'ERR_INVALID_HANDLE_TYPE', 'This handle type cannot be sent'),
  invalidReturnValue: (expected, name, value) =>
    make(
      TypeError,
      'ERR_INVALID_RETURN_VALUE',
      `Expected ${expected} to be returned from the "${name}" function but got ${inspect(value)}.`,
    ),
  ipcChannelClosed: () => make(Error, 'ERR_IPC_CHANNEL_CLOSED', 'Channel closed'),
  ipcDisconnected: () => make(Error, 'ERR_IPC_DISCONNECTED', 'IPC channel is already disconnected'),
  loading,
  protocolError: (reason) => make(Error, 'ERR_RS_CLUSTER_PROTOCOL', reason),
  missingArgs: (name) =>
    make(TypeError, 'ERR_MISSING_ARGS', `The "${name}" argument must be specified`),
  notLoaded: (reason) => make(Error, 'ERR_RS_CLUSTER_NOT_LOADED', reason),
  outOfRange: (name, range, value) =>
    make(
      RangeError,
      'ERR_OUT_OF_RANGE',
      `The value of "${name}" is out of range. It must be ${range}. Received ${inspect(value)}`,
    ),
  /** What concerns `cluster.supervise()`; the details become properties. */
  supervision: (code, message, details) =>
    Object.assign(make(Error, `ERR_RS_CLUSTER_${code}`, message), details),
  supervisedTwice: () =>
    make(
      Error,
      'ERR_RS_CLUSTER_SUPERVISED',
      'cluster.supervise() has been called before: a primary supervises one program',
    ),
  supervisedInWorker: () =>
    make(
      Error,
      'ERR_RS_CLUSTER_NOT_PRIMARY',
      'cluster.supervise() can be called in the primary only, and this is a worker: check ' +
        'cluster.isPrimary first, or name the program of the workers in the option exec',
    ),
  socketBadPort: (value) =>
    make(RangeError, 'ERR_SOCKET_BAD_PORT', `Port should be >= 0 and < 65536. ${received(value)}.`),
  unmappable: (file, cause) =>
    loading(
      'ERR_RS_CLUSTER_BAD_BINARY',
      `rs-cluster can't load its binary: ${cause.message} (${file}). The system lets no program run ` +
        'from there: most often the file system is mounted with noexec. Install the package on one ' +
        'that is not, or mount it with exec.',
      cause,
    ),
  unknownSignal: (signal) =>
    make(TypeError, 'ERR_UNKNOWN_SIGNAL', `Unknown signal: ${String(signal)}`),
};
