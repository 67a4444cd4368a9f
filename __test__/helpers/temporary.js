'use strict';

const { mkdtempSync, realpathSync, rmSync } = require('node:fs');
const os = require('node:os');
const path = require('node:path');

/** A fresh directory that is removed after the test. */
function temporaryDirectory(t) {
  const directory = mkdtempSync(path.join(realpathSync(os.tmpdir()), 'rs-cluster-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

module.exports = { temporaryDirectory };
