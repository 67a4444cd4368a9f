'use strict';

// Where operators ask the engine: the control socket, and the admin endpoint.

const fs = require('node:fs');
const { isIP } = require('node:net');
const os = require('node:os');
const path = require('node:path');
const errors = require('../errors.js');
const { checkInteger } = require('./checks.js');
const { fit, programName } = require('./program-name.js');

const LAST_PORT = 65535;
const LOCAL = '127.0.0.1';
/** The bytes that the address of a Unix socket has room for, with the zero at its end: macOS has less. */
const MOST_BYTES = process.platform === 'darwin' ? 103 : 107;
const SUFFIX = '.sock';
/** How many programs of one name find a control socket without being told where. */
const MOST_NAMESAKES = 256;
const HOST_AND_PORT = /^(?:\[([^\]]+)\]|([^:]+)):(\d+)$/;
const PRIVATE = 0o700;
const OTHERS_WRITE = 0o022;
/** In such a directory users change their own files only. */
const STICKY = 0o1000;

/** Checks the option `name`. */
function checkName(name, value) {
  if (typeof value !== 'string') throw errors.invalidArgType(name, 'of type string', value);
  if (value === '' || fit(value) !== value) {
    const reason = 'must be 1 to 64 letters, digits, dots, hyphens or underscores';
    throw errors.invalidArgValue(name, value, reason);
  }
}

/** Checks the option `control`. */
function checkControl(name, value) {
  if (value === false) return false;
  if (typeof value !== 'string') {
    throw errors.invalidArgType(name, 'of type string or false', value);
  }
  return socketPath(name, value);
}

/** Checks the option `admin`. Returns false, a path, or an address such as '127.0.0.1:9100'. */
function checkAdmin(name, value) {
  if (value === false) return false;
  if (typeof value !== 'number' && typeof value !== 'string') {
    throw errors.invalidArgType(name, 'of type number or string or false', value);
  }
  if (typeof value === 'string' && value.includes('/')) return socketPath(name, value);
  if (typeof value === 'number' || /^\d+$/.test(value)) return address(name, LOCAL, value);
  const [, bracketed, plain, port] = HOST_AND_PORT.exec(value) ?? [];
  const host = plain === 'localhost' ? LOCAL : (bracketed ?? plain ?? '');
  const isAddress = bracketed === undefined ? isIP(host) === 4 : isIP(host) === 6;
  if (!isAddress) {
    const reason = "must be a port, an address such as '0.0.0.0:9100' or '[::1]:9100', or a path";
    throw errors.invalidArgValue(name, value, reason);
  }
  return address(name, host, port);
}

function address(name, host, port) {
  checkInteger(name, Number(port), 0, LAST_PORT);
  return isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`;
}

function socketPath(name, value) {
  const full = path.resolve(value);
  if (value === '' || value.includes('\0')) {
    throw errors.invalidArgValue(name, value, 'must be a path');
  }
  if (Buffer.byteLength(full) > MOST_BYTES) {
    const reason = `must be a path of at most ${MOST_BYTES} bytes, as the system wants it`;
    throw errors.invalidArgValue(name, full, reason);
  }
  return full;
}

/** Binds what the options of `supervise()` ask for. */
class OperatorSockets {
  /** The name of the program. */
  name;
  #engine;
  /** The files that have been bound: by path, what tells each from a later one. */
  #files = new Map();
  /** The files of the primary that this one is to replace, which has them until then. */
  #offered = new Map();
  /** Those of them that this primary goes on with. */
  #adopted = new Set();
  #onExit = () => this.remove();

  /**
   * @param {Engine} engine
   * @param {object} options as `checkOptions()` returns them
   * @param {object} [offered] what the primary has that this one is to replace; the engine uses it for the same address
   * @param {string | null} [offered.control]
   * @param {string | null} [offered.admin]
   * @throws an error that says which socket is in use, or can't be bound
   */
  constructor(engine, { name, control, admin, directory, settings }, offered = {}) {
    this.#engine = engine;
    for (const place of [offered.control, offered.admin]) {
      if (place?.startsWith('/')) this.#offered.set(place, identityIfThere(place));
    }
    this.name = name ?? programName({ directory, settings });
    try {
      if (control !== undefined && control !== false) this.#listenControl(control);
      else if (control === undefined) this.#listenByName(name !== undefined, offered.control);
      if (admin !== false) this.#listenAdmin(admin);
    } catch (error) {
      this.close();
      throw error;
    }
    if (this.#files.size + this.#offered.size > 0) process.on('exit', this.#onExit);
  }

  /** The primary before this one has left its files to it. The engine removes those that are not needed. */
  tookOver() {
    for (const file of this.#adopted) this.#files.set(file, this.#offered.get(file));
  }

  /** Closes what has been bound, because supervision does not begin. */
  close() {
    process.removeListener('exit', this.#onExit);
    this.#engine.closeOperatorSockets();
  }

  /** The engine has closed them, or another primary has them. */
  closed() {
    this.#files.clear();
    process.removeListener('exit', this.#onExit);
  }

  /** This process ends before the engine can close them, or before it hears that the engine has. */
  remove() {
    for (const [file, identity] of this.#files) {
      try {
        if (identityOf(file) === identity) fs.unlinkSync(file);
      } catch {
        // It is gone.
      }
    }
  }

  #listenControl(file) {
    const failure = this.#engine.listenControl(file);
    if (failure !== null) throw controlFailure(file, failure);
    this.#bound(file);
  }

  #listenAdmin(place) {
    const failure = this.#engine.listenAdmin(place);
    if (failure !== null) throw adminFailure(place, failure);
    if (place.startsWith('/')) this.#bound(place);
  }

  #bound(file) {
    if (this.#offered.has(file)) this.#adopted.add(file);
    else this.#files.set(file, identityOf(file));
  }

  /** Binds the control socket in the first directory that allows it, or goes on with the one that is there. */
  #listenByName(isGiven, offered) {
    if (offered && isNameOf(this.name, offered) && directories().includes(path.dirname(offered))) {
      this.#listenControl(offered);
      return;
    }
    const problems = [];
    for (const directory of directories()) {
      try {
        prepare(directory);
        this.#listenIn(directory, isGiven);
        return;
      } catch (error) {
        if (error.code === 'ERR_RS_CLUSTER_CONTROL_IN_USE') throw error;
        problems.push(error.message);
      }
    }
    process.emitWarning(`there is no control socket: ${problems.join('; ')}`, {
      type: 'SupervisorWarning',
      code: 'ERR_RS_CLUSTER_CONTROL',
      detail: 'Name a path in the option control, or set it to false.',
    });
  }

  /** Another program may have the same name, unless the user has given it. */
  #listenIn(directory, isGiven) {
    for (let number = 1; ; number += 1) {
      const name = number === 1 ? this.name : `${this.name}-${number}`;
      const file = path.join(directory, `${name}${SUFFIX}`);
      if (Buffer.byteLength(file) > MOST_BYTES) throw new Error(`the path ${file} is too long`);
      try {
        this.#listenControl(file);
        return;
      } catch (error) {
        const isTaken = error.code === 'ERR_RS_CLUSTER_CONTROL_IN_USE';
        if (isGiven || !isTaken || number === MOST_NAMESAKES) throw error;
      }
    }
  }
}

/** Whether a control socket has that name, or another because another program had that. */
function isNameOf(name, file) {
  const given = path.basename(file, SUFFIX);
  return (
    given === name || (given.startsWith(`${name}-`) && /^\d+$/.test(given.slice(name.length + 1)))
  );
}

/** Where control sockets are, the best first. */
function directories() {
  const { RUNTIME_DIRECTORY, XDG_RUNTIME_DIR } = process.env;
  const places = [
    // systemd may name several.
    RUNTIME_DIRECTORY?.split(':')[0],
    XDG_RUNTIME_DIR && path.join(XDG_RUNTIME_DIR, 'rs-cluster'),
    path.join(os.tmpdir(), `rs-cluster-${process.getuid()}`),
  ];
  return places.filter((place) => place && path.isAbsolute(place));
}

/** What another file does not have, even if it has the same path or inode. */
function identityOf(file) {
  const { dev, ino, birthtimeNs } = fs.lstatSync(file, { bigint: true });
  return `${dev} ${ino} ${birthtimeNs}`;
}

/** Undefined where something has removed the file. */
function identityIfThere(file) {
  try {
    return identityOf(file);
  } catch {
    return undefined;
  }
}

/** Makes a directory that only this user can change, in one that exists, where no other user can replace it. */
function prepare(directory) {
  const parent = path.dirname(directory);
  checkAccess(parent, fs.statSync(parent), true);
  try {
    fs.mkdirSync(directory, { mode: PRIVATE });
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
  }
  // A link leads to where its owner likes.
  checkAccess(directory, fs.lstatSync(directory));
}

/** Throws if other users can change what this user has in a directory. */
function checkAccess(directory, { uid, mode }, mayShare = false) {
  const isOurs = uid === process.getuid() || uid === 0;
  const isShared = (mode & OTHERS_WRITE) !== 0 && !(mayShare && mode & STICKY);
  if (!isOurs || isShared) throw new Error(`other users may change ${directory}`);
}

function controlFailure(file, { errno, isOccupied, pid }) {
  if (isOccupied) {
    const text = `${file} is not a socket: remove it, or name another path in the option control`;
    return errors.supervision('CONTROL', text, { path: file });
  }
  if (errno !== undefined) return systemFailure('control socket', file, errno);
  const who = pid === undefined ? 'another process' : `another primary (pid ${pid})`;
  const text =
    `the control socket ${file} belongs to ${who}: stop that one, or give this one another name by ` +
    'the option name or control';
  return errors.supervision('CONTROL_IN_USE', text, { path: file, ...(pid && { pid }) });
}

function adminFailure(place, { errno, isOccupied, pid }) {
  if (errno !== undefined) return systemFailure('admin endpoint', place, errno);
  const who = isOccupied ? 'something that is not a socket' : `process ${pid ?? 'unknown'}`;
  return errors.supervision('ADMIN_IN_USE', `the admin endpoint ${place} belongs to ${who}`, {
    path: place,
  });
}

/** As an error of Node's `listen()`, with what it is about. */
function systemFailure(what, place, errno) {
  const error = errors.errnoException(errno, 'listen');
  error.message = `the ${what} can't listen on ${place}: ${error.code}`;
  return Object.assign(error, place.startsWith('/') ? { path: place } : { address: place });
}

module.exports = { OperatorSockets, checkAdmin, checkControl, checkName };
