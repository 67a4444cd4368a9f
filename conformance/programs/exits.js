'use strict';

// Preloaded into every process of a test: writes to a file how child processes failed, because the test
// itself may overlook that. It adds no listeners, because a test might count them.

const { subscribe } = require('node:diagnostics_channel');
const { appendFileSync } = require('node:fs');

const CRASHES = ['SIGABRT', 'SIGBUS', 'SIGFPE', 'SIGILL', 'SIGSEGV', 'SIGTRAP'];
const file = process.env.CONFORMANCE_EXITS;
/** Older versions of Node do not publish the start of a process, so nothing can be compared there. */
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
