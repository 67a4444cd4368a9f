'use strict';

// Debian's Rust compiler, with the standard library of another architecture and its sources. It is unpacked into the
// cache, so it neither replaces another compiler nor needs root.

const { mkdirSync, readdirSync, rmSync, writeFileSync } = require('node:fs');
const path = require('node:path');
const { cached } = require('./cache.js');
const { runTool } = require('./run-tool.js');

const MISSING =
  'This needs apt-get and dpkg, because rustup has no standard library for the target.';
// The compiler is in libraries, whose names have its version.
const LIBRARY = /\b(?:libstd-rust-web-[\d.]+|libllvm\d+)\b/g;
const RUSTC = `#!/bin/sh
root=$(dirname "$0")
LD_LIBRARY_PATH=$(echo "$root"/usr/lib/*-linux-gnu) exec "$root/usr/bin/rustc" "$@"
`;

/**
 * Resolves to the path of a `rustc` that compiles for the machine and for another architecture, which has Debian's
 * name for it: `arm64`.
 */
async function debianRust(architecture) {
  const directory = await cached(`debian-rust-${architecture}`, async (partial) => {
    process.stderr.write("Fetching Debian's Rust compiler by apt-get …\n");
    const packages = path.join(partial, 'packages');
    await download(packages, architecture);
    const files = readdirSync(packages).filter((name) => name.endsWith('.deb'));
    for (const name of files) {
      await runTool('dpkg', ['--extract', path.join(packages, name), partial], {
        missing: MISSING,
      });
    }
    rmSync(packages, { recursive: true });
    writeFileSync(path.join(partial, 'rustc'), RUSTC, { mode: 0o755 });
  });
  return path.join(directory, 'rustc');
}

async function download(directory, architecture) {
  const lists = path.join(directory, 'lists');
  const archives = path.join(directory, 'archives');
  mkdirSync(path.join(lists, 'partial'), { recursive: true });
  mkdirSync(path.join(archives, 'partial'), { recursive: true });
  const options = [
    `APT::Architectures::=${await ownArchitecture()}`,
    `APT::Architectures::=${architecture}`,
    `Dir::State::Lists=${lists}`,
    `Dir::Cache=${archives}`,
  ].flatMap((option) => ['-o', option]);
  const apt = (command, ...args) =>
    runTool(command, [...options, ...args], { cwd: directory, missing: MISSING });
  await apt('apt-get', 'update');
  const own = ['rustc-web', 'libstd-rust-web-dev'];
  const first = await librariesOf(apt, own);
  const libraries = new Set([...first, ...(await librariesOf(apt, first))]);
  const others = ['rust-web-src', `libstd-rust-web-dev:${architecture}`];
  await apt('apt-get', 'download', ...own, ...libraries, ...others);
}

/** The libraries of the compiler that these packages depend on. */
async function librariesOf(apt, packages) {
  const described = await apt('apt-cache', 'show', '--no-all-versions', ...packages);
  const dependencies = described.match(/^Depends: .*$/gm) ?? [];
  return [...new Set(dependencies.join('\n').match(LIBRARY))];
}

async function ownArchitecture() {
  return (await runTool('dpkg', ['--print-architecture'], { missing: MISSING })).trim();
}

module.exports = { debianRust };
