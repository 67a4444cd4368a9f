'use strict';

const { checkOptions } = require('../../../lib/supervisor/options');

/** The times of a program under supervision in Kubernetes for which nothing is said, in ms. */
function defaults() {
  process.env.KUBERNETES_SERVICE_HOST = 'kubernetes';
  const { drainTimeout, shutdownDelay, engine } = checkOptions({ exec: __filename });
  delete process.env.KUBERNETES_SERVICE_HOST;
  return { drainTimeout, killTimeout: engine.killTimeout, kubernetesShutdownDelay: shutdownDelay };
}

module.exports = { DEFAULTS: defaults() };
