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
  const { cluster, createPrimary } = load();
  if (policy !== undefined) cluster.schedulingPolicy = cluster[policy];
  try {
    return createPrimary.supervise(cluster, options, internal);
  } catch (error) {
    throw explainOption(error);
  }
}

function load() {
  try {
    const cluster = require('../../index.js');
    return { cluster, createPrimary: require('../primary/create-primary.js') };
  } catch (error) {
    throw explainAddon(error);
  }
}

/** A message of several sentences is one line nevertheless. */
function explainAddon({ message, code }) {
  return new CliError(message.replace(/\.$/, ''), { code });
}

module.exports = supervise;
