'use strict';

// QEMU's user mode, which runs programs of arm64 on another processor.

const { spawnSync } = require('node:child_process');
const { runAsRoot } = require('./debian-packages.js');

const PACKAGES = [
  { name: 'gcc-aarch64-linux-gnu', programs: ['aarch64-linux-gnu-gcc'] },
  { name: 'libstdc++6-arm64-cross', command: ['ls', '/usr/aarch64-linux-gnu/lib/libstdc++.so.6'] },
  { name: 'qemu-user-static', programs: ['qemu-aarch64-static'] },
];

// Debian's package has a file that systemd registers when the machine starts.
const REGISTER = `set -e
mkdir -p /etc/qemu-binfmt
ln -sfn /usr/aarch64-linux-gnu /etc/qemu-binfmt/aarch64
cd /proc/sys/fs/binfmt_misc
[ -e register ] || mount -t binfmt_misc binfmt_misc .
cd /proc/sys/fs/binfmt_misc
[ -e qemu-aarch64 ] || cat /usr/lib/binfmt.d/qemu-aarch64.conf > register`;

/** Whether the system starts this program, be it by an emulator. */
function canStart(program) {
  return spawnSync(program, ['--version'], { stdio: 'ignore' }).status === 0;
}

/** Makes the system start programs of arm64, until it is shut down; returns whether that succeeds. */
function register() {
  return runAsRoot('sh', '-c', REGISTER);
}

module.exports = { PACKAGES, REGISTER, canStart, register };
