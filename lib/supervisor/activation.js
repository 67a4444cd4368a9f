'use strict';

// Sockets that systemd has bound for a service: sd_listen_fds(3).

const NAMES = ['LISTEN_PID', 'LISTEN_PIDFDID', 'LISTEN_FDS', 'LISTEN_FDNAMES'];
const FIRST = 3;
/** More than any service manager gives. */
const MOST = 2 ** 16;

/** What was in the environment, once it has been read. */
let found;

/** Whether the descriptors are for this process, and not for one that has started it. */
function areOurs({ LISTEN_PID, LISTEN_FDS }) {
  return LISTEN_FDS !== undefined && Number(LISTEN_PID) === process.pid;
}

/**
 * Gives the engine the descriptors that the service manager has given to this process, and removes what names them
 * from `process.env`, because child processes do not have them. Warns of those that can't serve.
 */
function takeActivated(engine) {
  if (found !== undefined || !areOurs(process.env)) return;
  found = Object.fromEntries(NAMES.map((name) => [name, process.env[name]]));
  for (const name of NAMES) delete process.env[name];
  const count = Math.min(Number(found.LISTEN_FDS), MOST);
  if (!(Number.isInteger(count) && count > 0)) return;
  const names = found.LISTEN_FDNAMES?.split(':') ?? [];
  const given = Array.from({ length: count }, (_, index) => ({
    fd: FIRST + index,
    name: names[index] ?? '',
  }));
  for (const refused of engine.activate(given)) warn(refused, names[refused.fd - FIRST]);
}

/** Puts back what was removed from `process.env`, because supervision does not begin. */
function returnActivated(engine) {
  if (found === undefined) return;
  engine.closeActivated();
  for (const [name, value] of Object.entries(found)) {
    if (value !== undefined) process.env[name] = value;
  }
  found = undefined;
}

/** Whether a variable tells this process of its descriptors. */
function isActivation(name, value) {
  return found !== undefined && NAMES.includes(name) && value === found[name];
}

function warn({ fd, reason }, name) {
  const which = name ? `${fd} (${name})` : fd;
  process.emitWarning(
    `descriptor ${which} of the service manager serves no worker, because it ${reason}`,
    { type: 'ActivationWarning', code: 'ERR_RS_CLUSTER_ACTIVATION' },
  );
}

module.exports = { isActivation, returnActivated, takeActivated };
