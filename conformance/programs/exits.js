'use strict';

// Preloaded into every process of a test: writes to a file how the child processes failed, which the test
// itself may overlook. It adds no listeners, which a test might count.

const { subscribe } = require('node:diagnostics_channel');
const { appendFileSync } = require('node:fs');

const CRASHES = ['SIGABRT', 'SIGBUS', 'SIGFPE', 'SIGILL', 'SIGSEGV', 'SIGTRAP'];
const file = process.env.CONFORMANCE_EXITS;
/** Older versions of Node do not report the start of a process, so there is nothing to compare with. */
const FIRST_TO_PUBLISH = 20;

function tell(code, signal) {
  if (CRASHES.includes(signal)) appendFileSync(file, `${signal}\n`);
  else if (code > 0) appendFileSync(file, `exit code ${code}\n`);
}

function watch({ process: child }) {
  const handle = child._handle;
  const { onexit } = handle;
  handle.onexit = (code, signal) => {
    try {
      tell(code, signal);
    } catch {
      // The test's permissions may not allow writing there.
    }
    onexit(code, signal);
  };
}

const isPublished = Number.parseInt(process.versions.node, 10) >= FIRST_TO_PUBLISH;
if (file !== undefined && isPublished) subscribe('child_process', watch);
