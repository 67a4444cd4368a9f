'use strict';

// What the addon's file is, and what it should be. The loader of the system says so too, but not
// always: it takes the file of another processor for missing, and a file that is cut short can
// crash the process.

const { closeSync, existsSync, fstatSync, openSync, readSync } = require('node:fs');

// The header of an ELF file of 64 bits: where its numbers are, and what they say.
const HEADER = 64;
const MAGIC = 0x7f454c46;
const MACHINE = 18;
const MACHINES = { x64: 62, arm64: 183 };
const SECTIONS = 40;
const SECTION_SIZE = 58;
const SECTION_COUNT = 60;

// Processors, as musl names them.
const LOADERS = { x64: 'x86_64', arm64: 'aarch64' };

/**
 * The file in use. Workers are told, because they load it before what a package manager may put
 * between them and their modules (`.pnp.cjs` of Yarn).
 */
const chosen = { file: undefined };

/** `linux-x64-gnu`, as packages of Node-API addons are named. */
function targetOf({ platform, arch }) {
  if (platform !== 'linux') return `${platform}-${arch}`;
  return `${platform}-${arch}-${isMusl(arch) ? 'musl' : 'gnu'}`;
}

function isMusl(arch) {
  return mayExist(`/lib/ld-musl-${LOADERS[arch] ?? arch}.so.1`) && !hasGlibc();
}

/** Whether the file exists, as far as Node's permission model lets this process see it. */
function mayExist(file) {
  try {
    return existsSync(file);
  } catch {
    return true;
  }
}

/** Systems with glibc may have the dynamic loader of musl as well. The report takes milliseconds. */
function hasGlibc() {
  const { report } = process;
  const { excludeNetwork } = report;
  // Without it, the report looks up the names of all peers.
  report.excludeNetwork = true;
  const { header } = report.getReport();
  report.excludeNetwork = excludeNetwork;
  return header.glibcVersionRuntime !== undefined;
}

/** Why the file can be no addon of this platform, as far as its header tells; or undefined. */
function examine(file, { platform, arch }) {
  // macOS says so itself, and clearly.
  if (platform !== 'linux') return undefined;
  const { header, size } = read(file);
  if (header.readUInt32BE(0) !== MAGIC) return 'it is no shared library';
  const machine = header.readUInt16LE(MACHINE);
  if (arch in MACHINES && machine !== MACHINES[arch]) {
    const [other] = Object.entries(MACHINES).find(([, number]) => number === machine) ?? [];
    return `it is for ${other ?? 'another processor'}, and this is ${arch}`;
  }
  // The table of its sections is the last thing in the file, which has less than 4 GB.
  const sections = header.readUInt32LE(SECTIONS);
  const length = header.readUInt16LE(SECTION_SIZE) * header.readUInt16LE(SECTION_COUNT);
  return size < sections + length ? 'it is cut short' : undefined;
}

function read(file) {
  const fd = openSync(file);
  try {
    const header = Buffer.alloc(HEADER);
    readSync(fd, header, 0, HEADER, 0);
    return { header, size: fstatSync(fd).size };
  } finally {
    closeSync(fd);
  }
}

module.exports = { chosen, examine, targetOf };
