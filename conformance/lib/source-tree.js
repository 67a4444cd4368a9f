'use strict';

const { rmSync } = require('node:fs');
const path = require('node:path');
const { fetchSource } = require('./apt.js');
const { cached } = require('../../tools/cache.js');
const { runTool } = require('../../tools/run-tool.js');
const { UserError } = require('../../tools/user-error.js');

const PACKAGE = 'nodejs';
// These match only Node's own tests, because the wildcards do not match a slash: Node's dependencies have
// tests too.
const WANTED = [
  '*/test/common',
  '*/test/fixtures',
  '*/test/parallel/*cluster*',
  '*/test/sequential/*cluster*',
];

/** The part of the Node source tree in Debian's package that the tests need. */
function debianSourceTree() {
  return cached('debian', async (directory) => {
    process.stdout.write(`Fetching Debian's source package ${PACKAGE} by apt-get …\n`);
    await requireTools();
    const work = path.join(directory, 'apt');
    await unpack(originalOf(await fetchSource(PACKAGE, work)), directory);
    rmSync(work, { recursive: true });
  });
}

async function requireTools() {
  const why = 'is missing; it unpacks a source package: apt-get install';
  await runTool('tar', ['--version'], { missing: `tar ${why} tar` });
  await runTool('xz', ['--version'], { missing: `xz ${why} xz-utils` });
}

// Files that Debian adds have longer names.
function originalOf(files) {
  const original = files.find((file) => /\.orig\.tar\.\w+$/.test(file));
  if (original === undefined) {
    const names = files.map((file) => path.basename(file)).join(', ');
    throw new UserError(
      `The source package ${PACKAGE} has no tarball .orig: ${names || 'nothing'}`,
    );
  }
  return original;
}

function unpack(tarball, directory) {
  const where = ['--directory', directory, '--strip-components=1'];
  const which = ['--wildcards', '--no-wildcards-match-slash', ...WANTED];
  return runTool('tar', ['--extract', '--file', tarball, ...where, ...which]);
}

module.exports = { debianSourceTree };
