'use strict';

// Workers under supervision load a copy of this package: the release that the primary was started from may be
// deleted, or changed in place, while workers are still started by its recipe.

const { createHash } = require('node:crypto');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { debuglog } = require('node:util');
const { original } = require('../process/preloading.js');
const { clearInterval, setInterval } = require('../real-timers.js');

const debug = debuglog('cluster');

// In milliseconds. Systems remove what nothing has used for days from temporary directories.
const REFRESH_INTERVAL = 12 * 3600 * 1000;
const PERMISSION = /^--(?:experimental-)?permission/;
const PREFIX = 'rs-cluster-';
// For another user: to read, and to come through.
const OTHERS = { read: 0o755, pass: 0o001 };

/** A copy of what workers load, in a directory of its own. */
class PackageCopy {
  /** `{ preload, binary }` in the copy; undefined if there is none. */
  files;
  #folder;
  #isForOthers;
  #refreshes;
  #onExit = () => this.remove();

  /**
   * Makes the copy in the first place that allows it, and removes what primaries have left that are dead. Where
   * none does, workers load the original.
   *
   * @param {boolean} isForOthers whether the workers run as another user
   * @param {{ execArgv: string[] }} settings of the workers
   */
  constructor(isForOthers, { execArgv }) {
    // The permissions that are given name the original.
    if (process.permission || execArgv.some((arg) => PERMISSION.test(arg))) return;
    for (const place of places()) {
      try {
        removeLeftOvers(place);
        if (isForOthers && !isPassable(place)) continue;
        this.#make(place, isForOthers);
        return;
      } catch (error) {
        debug("no copy of rs-cluster's files in %s: %s", place, error.message);
        this.remove();
      }
    }
  }

  #make(place, isForOthers) {
    this.#isForOthers = isForOthers;
    this.#folder = fs.mkdtempSync(path.join(place, `${ownPrefix()}${process.pid}-`));
    process.on('exit', this.#onExit);
    this.files = this.#fill();
    this.#refreshes = setInterval(() => this.#refresh(), REFRESH_INTERVAL).unref();
  }

  /** Copies the files into the folder. */
  #fill() {
    if (this.#isForOthers) fs.chmodSync(this.#folder, OTHERS.read);
    const { preload, binary } = original();
    const inCopy = (file) => path.join(this.#folder, path.basename(file));
    const root = path.dirname(preload);
    fs.copyFileSync(preload, inCopy(preload));
    copyModules(path.join(root, 'lib'), path.join(this.#folder, 'lib'));
    // Whatever the directories above say, these files are CommonJS modules.
    fs.writeFileSync(path.join(this.#folder, 'package.json'), '{ "type": "commonjs" }\n');
    fs.copyFileSync(binary, inCopy(binary), fs.constants.COPYFILE_FICLONE);
    fs.chmodSync(inCopy(binary), OTHERS.read);
    // No file of a file system that is mounted with `noexec` may be executed, and no addon loaded from there.
    fs.accessSync(inCopy(binary), fs.constants.X_OK);
    return { preload: inCopy(preload), binary: inCopy(binary) };
  }

  /**
   * Makes the copy again, where recipes name it, if something has removed it: temporary directories are cleared by
   * hand, and by programs.
   */
  restore() {
    if (this.#folder === undefined || Object.values(this.files).every(fs.existsSync)) return;
    try {
      removeFolder(this.#folder);
      fs.mkdirSync(this.#folder, { mode: 0o700 });
      this.#fill();
    } catch (error) {
      debug('%s can not be made again: %s', this.#folder, error.message);
    }
  }

  #refresh() {
    try {
      refresh(this.#folder);
    } catch (error) {
      debug('%s may be removed: %s', this.#folder, error.message);
    }
  }

  /** Workers that are still to start can't, from now on. */
  remove() {
    if (this.#folder === undefined) return;
    clearInterval(this.#refreshes);
    process.removeListener('exit', this.#onExit);
    removeFolder(this.#folder);
    this.#folder = undefined;
  }
}

/** Where the copy may be, the best first. Directories of the first two are not cleared by age. */
function places() {
  const { RUNTIME_DIRECTORY, XDG_RUNTIME_DIR } = process.env;
  // systemd separates several directories by colons.
  const named = [RUNTIME_DIRECTORY?.split(':')[0], XDG_RUNTIME_DIR];
  return [...named.filter((it) => it && path.isAbsolute(it)), os.tmpdir()];
}

function copyModules(from, to) {
  fs.mkdirSync(to);
  for (const entry of fs.readdirSync(from, { withFileTypes: true })) {
    const [source, target] = [from, to].map((folder) => path.join(folder, entry.name));
    if (entry.isDirectory()) copyModules(source, target);
    else if (entry.name.endsWith('.js')) fs.copyFileSync(source, target);
  }
}

/** Makes a file, or a folder with all that is in it, look as if it were new. */
function refresh(place) {
  const now = new Date();
  fs.utimesSync(place, now, now);
  if (!fs.statSync(place).isDirectory()) return;
  for (const name of fs.readdirSync(place)) refresh(path.join(place, name));
}

/** Whether another user may come to what is in the folder. */
function isPassable(folder) {
  if ((fs.statSync(folder).mode & OTHERS.pass) === 0) return false;
  const parent = path.dirname(folder);
  return parent === folder || isPassable(parent);
}

/**
 * The names of copies say whose pids are in them: those of one boot, in one pid namespace. Containers may share
 * a temporary directory, and there the pid of a living primary would mean another process, or none.
 */
function ownPrefix() {
  const read = (get) => {
    try {
      return get();
    } catch {
      // Not on Linux.
      return '';
    }
  };
  const boot = read(() => fs.readFileSync('/proc/sys/kernel/random/boot_id', 'utf8'));
  const namespace = read(() => fs.readlinkSync('/proc/self/ns/pid'));
  const hash = createHash('sha256').update(`${boot} ${namespace}`).digest('hex');
  return `${PREFIX}${hash.slice(0, 12)}-`;
}

function removeLeftOvers(place) {
  const prefix = ownPrefix();
  for (const name of fs.readdirSync(place)) {
    if (!name.startsWith(prefix)) continue;
    const folder = path.join(place, name);
    const pid = Number.parseInt(name.slice(prefix.length), 10);
    // Not through a link that another user may have put there. Another primary may just have removed it.
    const found = fs.lstatSync(folder, { throwIfNoEntry: false });
    const isOurs = found?.isDirectory() && found.uid === process.getuid();
    if (isOurs && pid > 0 && !isAlive(pid)) removeFolder(folder);
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch ({ code }) {
    return code !== 'ESRCH';
  }
}

function removeFolder(folder) {
  try {
    fs.rmSync(folder, { recursive: true, force: true });
  } catch (error) {
    debug('%s stays: %s', folder, error.message);
  }
}

module.exports = PackageCopy;
