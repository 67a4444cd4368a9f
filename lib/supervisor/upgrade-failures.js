'use strict';

// The errors of `upgrade()`.

const { getSystemErrorName } = require('node:util');
const errors = require('../errors.js');
const { STDERR_FOLLOWS, failure, signalName } = require('./failures.js');

/** What the new primary did, by the engine's word for it. */
const WORDS = {
  exited: ({ exitCode, signal }) =>
    `it exited with ${signal === null ? `code ${exitCode ?? 'unknown'}` : `signal ${signal}`}`,
  timeout: () => 'it did not serve within the timeout',
  fork: ({ errno, syscall }) => `it could not be started: ${syscall} ${nameOf(errno)}`,
  gaveUp: ({ reason }) => reason,
  noCommonVersion: ({ reason }) => reason,
  brokeProtocol: ({ reason }) => `it broke the protocol: ${reason}`,
};

/** @param {object} report the engine's, of type 'rejected' */
function upgradeFailure(report) {
  const word = WORDS[report.what];
  if (word === undefined) return failure(report, {});
  const { phase, exitCode, errno, syscall } = report;
  // What the new primary says ends with what its worker has written last.
  const [reason, stderr = ''] = (report.reason ?? '').split(STDERR_FOLLOWS);
  const facts = { ...report, signal: signalName(report.signal), reason };
  const output = stderr && `${STDERR_FOLLOWS}${stderr}`;
  return make(`in phase ${phase}, ${word(facts)}${output}`, {
    ...known({ phase, exitCode, signal: facts.signal, errno, syscall, reason: reason || null }),
    stderr,
  });
}

/** There is nothing to start a primary by: no directory, no Node, or no program. */
function notUpgraded(cause) {
  const { errno, syscall } = cause;
  const details = { ...known({ phase: 'start', errno, syscall }), stderr: '', cause };
  return make(`no primary can be started: ${cause.message}`, details);
}

function make(text, details) {
  return errors.supervision(
    'UPGRADE_FAILED',
    `the new primary has not taken over: ${text}`,
    details,
  );
}

function nameOf(errno) {
  return getSystemErrorName(errno < 0 ? errno : -errno);
}

/** What is known. */
function known(details) {
  return Object.fromEntries(Object.entries(details).filter(([, it]) => it != null));
}

module.exports = { notUpgraded, upgradeFailure };
