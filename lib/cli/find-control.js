'use strict';

// Finds the control socket of a primary, in the directories in which primaries make theirs.

const { lstatSync, readdirSync } = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { CliError, EXIT } = require('./errors.js');

const SUFFIX = '.sock';
/** What systemd makes for a service: `/run/NAME/NAME.sock`. */
const RUN = '/run';
/** How long a socket may take to accept, in milliseconds. */
const CONNECT_TIMEOUT = 1_000;

/**
 * @param {{ control?: string, name?: string }} given options of the command line
 * @returns {Promise<string>} the path of a socket
 * @throws {CliError} if there is none, or more than one that a primary listens on
 */
async function findControl({ control, name }) {
  if (control !== undefined) return path.resolve(control);
  const found = candidates().filter((it) => name === undefined || nameOf(it) === name);
  const states = await Promise.all(found.map(probe));
  const alive = found.filter((_, index) => states[index] !== 'stale');
  if (alive.length === 1) return alive[0];
  if (alive.length > 1) throw severalFound(alive, name);
  throw noneFound(found, name);
}

/** All sockets that may be one of a primary. */
function candidates() {
  const own = directories().flatMap((folder) => socketsIn(folder));
  const services = namesIn(RUN).flatMap((name) =>
    socketsIn(path.join(RUN, name)).filter((it) => nameOf(it) === name),
  );
  return [...new Set([...own, ...services])];
}

function directories() {
  const { RUNTIME_DIRECTORY, XDG_RUNTIME_DIR } = process.env;
  const uid = process.getuid?.();
  const places = [
    RUNTIME_DIRECTORY?.split(':')[0],
    XDG_RUNTIME_DIR && path.join(XDG_RUNTIME_DIR, 'rs-cluster'),
    path.join(os.tmpdir(), `rs-cluster-${uid}`),
  ];
  return [...new Set(places.filter((it) => it && path.isAbsolute(it)))].filter((it) =>
    isOurs(it, uid),
  );
}

/** In a directory that another user has made, such as one in /tmp, may be anything. */
function isOurs(folder, uid) {
  const stat = lstatSync(folder, { throwIfNoEntry: false });
  return stat?.isDirectory() && (stat.uid === uid || stat.uid === 0);
}

function socketsIn(folder) {
  return namesIn(folder)
    .filter((name) => name.endsWith(SUFFIX))
    .map((name) => path.join(folder, name))
    .filter(isSocket);
}

function namesIn(folder) {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}

function isSocket(file) {
  try {
    return lstatSync(file).isSocket();
  } catch {
    return false;
  }
}

function nameOf(file) {
  return path.basename(file, SUFFIX);
}

/** 'stale' if no process listens; otherwise 'alive', or 'unknown' if this user may not ask. */
function probe(file) {
  return new Promise((resolve) => {
    const socket = net.connect(file);
    const end = (state) => {
      socket.destroy();
      resolve(state);
    };
    socket.setTimeout(CONNECT_TIMEOUT, () => end('alive'));
    socket.on('connect', () => end('alive'));
    socket.on('error', ({ code }) =>
      end(code === 'ECONNREFUSED' || code === 'ENOENT' ? 'stale' : 'unknown'),
    );
  });
}

function severalFound(files, name) {
  const lines = files.map((file) => `  --name ${nameOf(file)}  (${file})`);
  const what =
    name === undefined ? 'several primaries run' : `several primaries are called ${name}`;
  const how = name === undefined ? 'Choose one by --name or --control' : 'Choose one by --control';
  return new CliError(what, {
    exitCode: EXIT.usage,
    code: 'ERR_RS_CLUSTER_SEVERAL',
    hint: `${how}:\n${lines.join('\n')}`,
    details: { controls: files },
  });
}

function noneFound(stale, name) {
  const code = 'ERR_RS_CLUSTER_NO_PRIMARY';
  if (stale.length > 0) {
    const hint = `It has left ${stale[0]}, which the next one replaces`;
    return new CliError(`the primary ${nameOf(stale[0])} has ended`, { code, hint });
  }
  const what = name === undefined ? 'no primary runs' : `no primary called ${name} runs`;
  const searched = directories().join(' or ');
  const where = searched ? `There is no socket of one in ${searched}` : 'This user has had none';
  const hint = `${where}. --control PATH names one elsewhere`;
  return new CliError(what, { code, hint });
}

module.exports = { findControl };
