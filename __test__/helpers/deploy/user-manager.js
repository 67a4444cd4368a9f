'use strict';

// A real systemd, as the manager of a user's services, in namespaces of its own: of processes, mounts and control
// groups. It asks for a machine that systemd has booted, so there is one of its directories in a fresh /run.

const { mkdirSync, readdirSync, rmdirSync, writeFileSync } = require('node:fs');
const path = require('node:path');
const { startDaemon } = require('./daemon');
const { childrenOf } = require('./namespaces');
const { findProgram } = require('../../../tools/debian-packages');
const { becomesTrue } = require('../../../tools/process-group');
const { runTool } = require('../../../tools/run-tool');

const LIMIT = 60_000;
// As for the manager of the system: the unit names a path in it.
const RUNTIME = '/run';
const NAMESPACES = ['--mount', '--pid', '--cgroup', '--fork', '--mount-proc', '--kill-child'];
const START = `
set -e
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/system
umount -R /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup
# Process 1 could only be the manager of a system.
/lib/systemd/systemd --user --log-target=console &
wait $!
`;
// Moves into a control group, if there is one, and becomes the command.
const ENTER = '[ -z "$0" ] || echo $$ > "$0"/cgroup.procs; exec "$@"';
const HIERARCHIES = ['/sys/fs/cgroup/unified', '/sys/fs/cgroup'];

/** A control group for the manager and its services, so that none of them is left in ours; empty if there can't be. */
function makeGroup() {
  for (const hierarchy of HIERARCHIES) {
    const group = path.join(hierarchy, `rs-cluster-systemd-${process.pid}`);
    try {
      readdirSync(hierarchy).includes('cgroup.controllers') && mkdirSync(group);
      if (readdirSync(group).includes('cgroup.procs')) return group;
    } catch {
      // It is not there, or not ours to change.
    }
  }
  return '';
}

/** Removes a control group with those below it; returns whether no process was left in them. */
function removeGroup(group) {
  try {
    removeEmpty(group);
    return true;
  } catch {
    return false;
  }
}

function removeEmpty(group) {
  for (const entry of readdirSync(group, { withFileTypes: true })) {
    if (entry.isDirectory()) removeEmpty(path.join(group, entry.name));
  }
  rmdirSync(group);
}

/** A running manager. */
class UserManager {
  #daemon;
  #env;

  constructor(daemon, home) {
    this.#daemon = daemon;
    this.#env = { ...process.env, HOME: home, XDG_RUNTIME_DIR: RUNTIME };
  }

  get output() {
    return this.#daemon.output;
  }

  /** Runs a command in its namespaces; resolves to its output. */
  run(...command) {
    const [{ pid }] = childrenOf(this.#daemon.pid);
    const args = ['--target', `${pid}`, '--mount', '--pid', '--cgroup', '--', ...command];
    return runTool(findProgram('nsenter'), args, { env: this.#env, limit: LIMIT });
  }

  systemctl(...args) {
    return this.run('systemctl', '--user', ...args);
  }

  /** A property of a unit. */
  property(unit, name) {
    return this.systemctl('show', '--value', '--property', name, unit);
  }

  /** Waits until a property of a unit is so. */
  until(unit, name, value) {
    const isSo = async () => (await this.property(unit, name)) === value;
    return this.#daemon.until(isSo, `${name} of ${unit} is ${value}`);
  }
}

/**
 * Starts a manager that knows these units; only root may do that.
 *
 * @param {string} home a fresh directory
 * @param {Record<string, string>} units files by their names, as `app.service` and `app.service.d/test.conf`
 */
async function startUserManager(t, home, units) {
  const folder = path.join(home, '.config/systemd/user');
  for (const [name, text] of Object.entries(units)) {
    mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    writeFileSync(path.join(folder, name), text);
  }
  const group = makeGroup();
  const unshare = [findProgram('unshare'), ...NAMESPACES, 'sh', '-c', START];
  // Teardowns run in the opposite order: the processes are gone then.
  t.teardown(async () => {
    // The namespace ends its processes after its first one.
    if (group !== '') await becomesTrue(() => removeGroup(group), LIMIT);
  });
  const env = { ...process.env, HOME: home, XDG_RUNTIME_DIR: RUNTIME };
  const daemon = startDaemon(t, 'sh', ['-c', ENTER, group, ...unshare], { env });
  const manager = new UserManager(daemon, home);
  const isUp = async () => {
    try {
      return (await manager.systemctl('list-jobs')) !== '';
    } catch {
      return false;
    }
  };
  await daemon.until(isUp, 'the manager runs');
  return manager;
}

module.exports = { startUserManager };
