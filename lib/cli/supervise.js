'use strict';

const { CliError } = require('./errors.js');
const { explainOption } = require('./supervise-options.js');

/**
 * Starts supervision in this process.
 *
 * @param {object} options of `cluster.supervise()`
 * @param {string} [policy] the name of a policy, as a member of `cluster`
 * @param {object} internal what only the command line may ask for
 */
function supervise(options, policy, internal) {
  let cluster;
  try {
    cluster = require('../../index.js');
  } catch (error) {
    throw explainAddon(error);
  }
  if (policy !== undefined) cluster.schedulingPolicy = cluster[policy];
  try {
    return start(cluster, options, internal);
  } catch (error) {
    throw explainOption(error);
  }
}

function start(cluster, options, _internal) {
  return cluster.supervise(options);
}

/** A message of several sentences is one line nevertheless. */
function explainAddon({ message, code }) {
  return new CliError(message.replace(/\.$/, ''), { code });
}

module.exports = supervise;
