'use strict';

const os = require('node:os');
const { compiled } = require('./compiled');

/** A `launcher` for fixtures, in which these system calls (see deny.c) fail with `code`: `'EPERM'`. */
function denying(code, ...calls) {
  return [compiled('deny'), `${os.constants.errno[code]}`, calls.join(',')];
}

/** Whether system calls can be denied on this machine. */
const canDeny = process.platform === 'linux';

module.exports = { canDeny, denying };
