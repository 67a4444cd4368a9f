'use strict';

// Checks the addon's file before it is loaded. The system's loader is not reliable: it reports the file of
// another processor as missing, and a truncated file can crash the process.

const { closeSync, existsSync, fstatSync, openSync, readSync } = require('node:fs');

// The header of a 64-bit ELF file: offsets, and values.
const HEADER = 64;
const MAGIC = 0x7f454c46;
const MACHINE = 18;
const MACHINES = { x64: 62, arm64: 183 };
const SECTIONS = 40;
const SECTION_SIZE = 58;
const SECTION_COUNT = 60;

const SEGMENTS = 32;
const SEGMENT_SIZE = 54;
const SEGMENT_COUNT = 56;

// The segment that names the dynamic loader of an executable, and offsets in the header of a segment.
const INTERPRETER = 3;
const START = 8;
const LENGTH = 32;

// The names of processors in those of musl's dynamic loaders.
const LOADERS = { x64: 'x86_64', arm64: 'aarch64' };

/**
 * The file in use. The primary tells its workers, because they load the addon before anything that changes
 * how modules are found (`.pnp.cjs` of Yarn).
 */
const chosen = { file: undefined };

/** The platform as in the names of packages, such as `linux-x64-gnu`. */
function targetOf({ platform, arch }) {
  if (platform !== 'linux') return `${platform}-${arch}`;
  return `${platform}-${arch}-${isMusl(arch) ? 'musl' : 'gnu'}`;
}

function isMusl(arch) {
  return mayExist(`/lib/ld-musl-${LOADERS[arch] ?? arch}.so.1`) && !usesGlibc();
}

/** Whether the file exists, or may exist, because Node's permission model hides it. */
function mayExist(file) {
  try {
    return existsSync(file);
  } catch {
    return true;
  }
}

/** Systems with glibc may have musl's dynamic loader too, which is why this process is asked. */
function usesGlibc() {
  const loader = loaderOf(process.execPath);
  return loader === undefined ? reportsGlibc() : !loader.includes('ld-musl');
}

/**
 * The dynamic loader that an executable names; undefined if it names none, or can't be read: where Node was started by
 * the loader, the executable is that, and Node's permission model may hide it.
 */
function loaderOf(executable) {
  try {
    return readInterpreter(executable);
  } catch {
    return undefined;
  }
}

function readInterpreter(executable) {
  return withFile(executable, (fd) => {
    const header = readAt(fd, 0, HEADER);
    if (header.readUInt32BE(0) !== MAGIC) return undefined;
    const size = header.readUInt16LE(SEGMENT_SIZE);
    const count = header.readUInt16LE(SEGMENT_COUNT);
    const table = readAt(fd, Number(header.readBigUInt64LE(SEGMENTS)), size * count);
    for (let at = 0; at < table.length; at += size) {
      if (table.readUInt32LE(at) !== INTERPRETER) continue;
      const [start, length] = [START, LENGTH].map((it) => Number(table.readBigUInt64LE(at + it)));
      return readAt(fd, start, length).toString('latin1', 0, length - 1);
    }
    return undefined;
  });
}

/** Whether Node's diagnostic report names a version of glibc. To make one takes milliseconds. */
function reportsGlibc() {
  const { report } = process;
  const { excludeNetwork } = report;
  // Otherwise the report would look up the names of all peers.
  report.excludeNetwork = true;
  const { header } = report.getReport();
  report.excludeNetwork = excludeNetwork;
  return header.glibcVersionRuntime !== undefined;
}

/** Why the file can't be an addon for this platform, judging by its header; undefined if it may be one. */
function examine(file, { platform, arch }) {
  // The loader of macOS gives clear reasons.
  if (platform !== 'linux') return undefined;
  const { header, size } = read(file);
  if (header.readUInt32BE(0) !== MAGIC) return 'it is no shared library';
  const machine = header.readUInt16LE(MACHINE);
  if (arch in MACHINES && machine !== MACHINES[arch]) {
    const [other] = Object.entries(MACHINES).find(([, number]) => number === machine) ?? [];
    return `it is for ${other ?? 'another processor'}, and this is ${arch}`;
  }
  // The section table is at the end of the file, which is shorter than 4 GB.
  const sections = header.readUInt32LE(SECTIONS);
  const length = header.readUInt16LE(SECTION_SIZE) * header.readUInt16LE(SECTION_COUNT);
  return size < sections + length ? 'it is cut short' : undefined;
}

function read(file) {
  return withFile(file, (fd) => ({ header: readAt(fd, 0, HEADER), size: fstatSync(fd).size }));
}

function withFile(file, use) {
  const fd = openSync(file);
  try {
    return use(fd);
  } finally {
    closeSync(fd);
  }
}

/** What a file has there, followed by zeros if it is shorter. */
function readAt(fd, start, length) {
  const bytes = Buffer.alloc(length);
  readSync(fd, bytes, 0, length, start);
  return bytes;
}

module.exports = { chosen, examine, loaderOf, targetOf };
