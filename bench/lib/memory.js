'use strict';

// Memory of other processes, from /proc.

const fs = require('node:fs');

/** Resident memory in MB; `own` is what the process shares with no other. */
function memoryOf(pid) {
  const status = fs.readFileSync(`/proc/${pid}/status`, 'utf8');
  const megabytes = (name) =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)[1]) / 1024;
  return { resident: megabytes('VmRSS'), own: megabytes('RssAnon') };
}

module.exports = { memoryOf };
