'use strict';

if (process.platform === 'win32') {
  const error = new Error(
    'rs-cluster does not support Windows: its engine needs Unix sockets that carry descriptors. ' +
      "Use require('node:cluster') there.",
  );
  error.code = 'ERR_RS_CLUSTER_UNSUPPORTED_PLATFORM';
  throw error;
}

module.exports = require('./binding.js');
