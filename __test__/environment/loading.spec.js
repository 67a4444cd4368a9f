'use strict';

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { serial: test } = require('ava');
const { fixturePath, run } = require('../helpers/fixture');
const { isBuiltin, specifier } = require('../helpers/implementation');
const { BINARY, ROOT, TARGET, install } = require('../helpers/installation');
const { unprivileged } = require('../helpers/privileges');
const { temporaryDirectory } = require('../helpers/temporary');
const { majorVersion } = require('../helpers/version');
const { loaderOf } = require('../../lib/addon/binary');

const MACHINE = 18; // The offset of the machine in an ELF header.
const MACHINES = { x64: 62, arm64: 183 };

const good = fs.readFileSync(path.join(ROOT, 'lib', BINARY));

const permission = majorVersion < 22 ? '--experimental-permission' : '--permission';
const permitted = [permission, '--allow-fs-read=*'];

/** What `targetOf()` says, with musl's dynamic loader installed, after these changes to the process. */
function targetAfter(...changes) {
  const script = [
    "require('node:fs').existsSync = () => true;",
    ...changes,
    "const { targetOf } = require('./lib/addon/binary.js');",
    'console.log(targetOf({ platform: process.platform, arch: process.arch }));',
  ];
  const options = { cwd: ROOT, encoding: 'utf8' };
  return spawnSync(process.execPath, ['-e', script.join('\n')], options);
}

if (!isBuiltin) {
  test('the package of the platform provides the binary', async (t) => {
    const home = install(t, (file) => fs.writeFileSync(file, good));
    const { lines, code } = await run(t, 'environment/load-package', { args: [home] });
    t.deepEqual(lines, []);
    t.is(code, 0);
  });

  // Errors that the header shows.
  const damaged = {
    'a file that is not a binary': [
      (file) => fs.writeFileSync(file, 'version https://git-lfs'.repeat(9)),
      'BAD_BINARY',
      'it is no shared library',
    ],
    'a file that is empty': [
      (file) => fs.writeFileSync(file, ''),
      'BAD_BINARY',
      'it is no shared library',
    ],
    // Such a file would crash the process.
    'a binary that is cut short': [
      (file) => fs.writeFileSync(file, good.subarray(0, good.length / 2)),
      'BAD_BINARY',
      'it is cut short',
    ],
    'the binary of another processor': [
      (file) => {
        const other = Buffer.from(good);
        const [machine] = Object.values(MACHINES).filter((it) => it !== MACHINES[process.arch]);
        other.writeUInt16LE(machine, MACHINE);
        fs.writeFileSync(file, other);
      },
      'BAD_BINARY',
      `and this is ${process.arch}`,
    ],
  };
  // On other systems, the system's loader says what is wrong with a file.
  const isExamined = process.platform === 'linux';
  const failures = {
    'no binary': [() => {}, 'NO_BINARY', `rs-cluster-${TARGET}, or the file in it, is not there`],
    ...(isExamined && damaged),
    'a binary that is damaged': [
      (file) => fs.writeFileSync(file, Buffer.from(good).fill(0xa5, 64, 4096)),
      'BAD_BINARY',
      `${BINARY}: `,
      'ERR_DLOPEN_FAILED',
    ],
    'the binary of another version': [
      (file, home) => {
        fs.writeFileSync(file, good);
        const release = path.join(home, 'lib/addon/release.js');
        const text = fs.readFileSync(release, 'utf8');
        fs.writeFileSync(release, text.replace(/version: '.*'/, "version: '99.0.0'"));
      },
      'BAD_BINARY',
      'and this is 99.0.0',
    ],
    'no preload': [
      (file, home) => {
        fs.writeFileSync(file, good);
        fs.rmSync(path.join(home, 'preload.js'));
      },
      'NO_PRELOAD',
      'ENOENT',
      'ENOENT',
    ],
  };
  for (const [what, [damage, code, text, cause = null]] of Object.entries(failures)) {
    test(`${what}: ERR_RS_CLUSTER_${code}`, async (t) => {
      const { lines, stderr } = await run(t, 'environment/load-package', {
        args: [install(t, damage)],
      });
      t.like(lines, { length: 1, 0: { code: `ERR_RS_CLUSTER_${code}`, cause } });
      t.true(lines[0].message.includes(text), lines[0].message);
      t.is(stderr, '');
    });
  }

  const noExec = /mounted with noexec.* Install the package on one that is not/;

  test('a binary that the system does not allow to map: advice about noexec', async (t) => {
    const home = install(t);
    const said = `${BINARY}: failed to map segment from shared object: Operation not permitted`;
    const pretence = path.join(temporaryDirectory(t), 'dlopen.js');
    fs.writeFileSync(
      pretence,
      `process.dlopen = () => { throw Object.assign(new Error('${said}'), { code: 'ERR_DLOPEN_FAILED' }) };`,
    );
    const { lines } = await run(t, 'environment/load-package', {
      args: [home],
      nodeArgs: ['--require', pretence],
    });
    const expected = { code: 'ERR_RS_CLUSTER_BAD_BINARY', cause: 'ERR_DLOPEN_FAILED' };
    t.like(lines, { length: 1, 0: expected });
    t.regex(lines[0].message, noExec);
  });

  test('a package on a file system without execution: advice about noexec', async (t) => {
    const place = temporaryDirectory(t);
    const options = ['-t', 'tmpfs', '-o', 'noexec,size=64m', 'none', place];
    // Only root may mount a file system, and not in every container.
    if (spawnSync('mount', options).status !== 0) return t.pass();
    try {
      const { lines } = await run(t, 'environment/load-package', {
        args: [install(t, undefined, place)],
      });
      t.like(lines, { length: 1, 0: { code: 'ERR_RS_CLUSTER_BAD_BINARY' } });
      t.regex(lines[0].message, noExec);
    } finally {
      spawnSync('umount', [place]);
    }
  });

  const platforms = {
    'Windows, which': ['win32', 'x64'],
    'a processor that': ['linux', 'riscv64'],
  };
  for (const [what, [platform, arch]] of Object.entries(platforms)) {
    test(`${what} is not supported: ERR_RS_CLUSTER_UNSUPPORTED_PLATFORM`, async (t) => {
      const pretence = path.join(temporaryDirectory(t), 'platform.js');
      const properties = { platform: { value: platform }, arch: { value: arch } };
      fs.writeFileSync(
        pretence,
        `Object.defineProperties(process, ${JSON.stringify(properties)});`,
      );
      const home = install(t, (file) => fs.writeFileSync(file, good));
      const { lines } = await run(t, 'environment/load-package', {
        args: [home],
        nodeArgs: ['--require', pretence],
      });
      t.like(lines, { length: 1, 0: { code: 'ERR_RS_CLUSTER_UNSUPPORTED_PLATFORM' } });
      t.regex(lines[0].message, platform === 'win32' ? /Windows/ : /linux-riscv64-gnu.*Rust/);
    });
  }

  if (isExamined) {
    test('the executable tells which C library this process has, without a report', (t) => {
      const noReport = "process.report.getReport = () => { throw new Error('slow'); };";
      const { stdout, stderr } = targetAfter(noReport);
      t.is(stdout.trim(), TARGET, stderr);
    });

    test('where the executable can not be read, a report tells the C library', (t) => {
      const { stdout, stderr } = targetAfter("process.execPath = '/missing';");
      t.is(stdout.trim(), TARGET, stderr);
    });

    test('the dynamic loader of an executable is what its header names', (t) => {
      const file = path.join(temporaryDirectory(t), 'program');
      const loader = '/lib/ld-musl-x86_64.so.1';
      const program = Buffer.alloc(256);
      program.write('\x7fELF');
      program.writeUInt32LE(64, 32); // Where the segments are, how large each is, and how many there are.
      program.writeUInt16LE(56, 54);
      program.writeUInt16LE(2, 56);
      program.writeUInt32LE(3, 64 + 56); // The second one names the loader: where, and how long.
      program.writeUInt32LE(200, 64 + 56 + 8);
      program.writeUInt32LE(loader.length + 1, 64 + 56 + 32);
      program.write(loader, 200);
      fs.writeFileSync(file, program);
      t.is(loaderOf(file), loader);
      program.writeUInt16LE(1, 56);
      fs.writeFileSync(file, program);
      t.is(loaderOf(file), undefined);
      fs.writeFileSync(file, '#!/bin/sh\n'.repeat(100));
      t.is(loaderOf(file), undefined);
      t.is(loaderOf(`${file}.missing`), undefined);
    });
  }

  const refusals = { '--no-addons': ['--no-addons'], 'the permission model': permitted };
  // Node 20 always allows reading preloads, but not the files that they load.
  if (majorVersion >= 20) {
    test('workers that may not read the package: the primary reports it once', async (t) => {
      const args = [ROOT, { execArgv: [permission] }];
      const { lines, stderr } = await run(t, 'environment/load-in-workers', { args, warns: true });
      t.deepEqual(lines, [{ exited: 1 }, { exited: 1 }]);
      t.is(stderr.match(/ERR_RS_CLUSTER_NOT_LOADED/g)?.length, 1, stderr);
      t.regex(stderr, /--allow-fs-read/);
    });
  }

  for (const [by, flags] of Object.entries(refusals)) {
    // Node 18 does not have a permission model.
    if (majorVersion < 20 && flags === permitted) continue;

    test(`an addon refused by ${by}: ERR_RS_CLUSTER_ADDONS_REFUSED`, async (t) => {
      const options = { args: [ROOT], nodeArgs: flags, warns: true };
      const { lines } = await run(t, 'environment/load-package', options);
      t.like(lines, { length: 1, 0: { code: 'ERR_RS_CLUSTER_ADDONS_REFUSED' } });
      t.regex(lines[0].message, /--allow-addons/);
    });

    test(`workers whose addon is refused by ${by}: the primary reports it once`, async (t) => {
      const args = [ROOT, { execArgv: flags }];
      const { lines, stderr } = await run(t, 'environment/load-in-workers', { args, warns: true });
      t.deepEqual(lines, [{ exited: 1 }, { exited: 1 }]);
      t.is(stderr.match(/ERR_RS_CLUSTER_NOT_LOADED/g)?.length, 1, stderr);
      t.regex(stderr, /--allow-addons/);
    });

    test(`workers whose addon is refused by ${by}: each emits 'error', if it has a listener`, async (t) => {
      const args = [ROOT, { execArgv: flags }, 'hear'];
      const { lines } = await run(t, 'environment/load-in-workers', { args });
      const refused = lines.filter(({ code }) => code === 'ERR_RS_CLUSTER_NOT_LOADED');
      t.is(refused.length, 2);
      t.deepEqual(
        lines.filter(({ exited }) => exited !== undefined),
        [{ exited: 1 }, { exited: 1 }],
      );
    });
  }

  for (const act of ['disconnect', 'disconnect all']) {
    test(`workers that can't load, and are told to ${act}, do not harm the primary`, async (t) => {
      const args = [ROOT, { execArgv: ['--no-addons'] }, act];
      const { lines, code, stderr } = await run(t, 'environment/load-in-workers', {
        args,
        warns: true,
      });
      t.deepEqual(lines, [{ exited: 1 }, { exited: 1 }]);
      t.is(code, 0);
      t.is(stderr.match(/ERR_RS_CLUSTER_NOT_LOADED/g)?.length, 1, stderr);
    });
  }

  test('a worker whose channel was closed before it reported anything may have loaded', async (t) => {
    const exec = fixturePath('shared/throws');
    const { lines } = await run(t, 'environment/load-in-workers', {
      args: [ROOT, { exec }, 'close'],
    });
    t.deepEqual(lines, [{ exited: 1 }, { exited: 1 }]);
  });

  if (unprivileged?.uid) {
    test('workers whose user may not read the preload: the primary reports it once', async (t) => {
      const home = install(t, (file, directory) => {
        fs.writeFileSync(file, good);
        fs.chmodSync(path.join(directory, 'preload.js'), 0o600);
      });
      // All users may enter every directory on the path except the temporary one.
      fs.chmodSync(path.join(home, '../..'), 0o755);
      const args = [home, unprivileged];
      const { lines, stderr } = await run(t, 'environment/load-in-workers', { args, warns: true });
      t.deepEqual(lines, [{ exited: 1 }, { exited: 1 }]);
      t.is(stderr.match(/ERR_RS_CLUSTER_NOT_LOADED/g)?.length, 1, stderr);
      t.regex(stderr, /can its user read that file/);
    });
  }
}

if (majorVersion >= 20) {
  const fork = { args: [specifier], nodeArgs: [...permitted, '--allow-addons'], warns: true };

  test('the permission model refuses fork() as it does with child_process', async (t) => {
    const { lines } = await run(t, 'environment/load-package', fork);
    t.like(lines, { length: 1, 0: { code: 'ERR_ACCESS_DENIED' } });
    if (!isBuiltin) t.regex(lines[0].message, /--allow-child-process/);
  });

  // Older versions do not have --allow-net, and with the built-in module the primary throws.
  if (majorVersion >= 25 && !isBuiltin) {
    test('the permission model refuses listen() as it does without a cluster', async (t) => {
      const nodeArgs = [...fork.nodeArgs, '--allow-child-process'];
      const { lines } = await run(t, 'environment/listen-without-permission', {
        nodeArgs,
        warns: true,
      });
      t.deepEqual(lines, [{ code: 'ERR_ACCESS_DENIED', permission: 'Net' }]);
    });
  }

  test('the permission model allows fork() with --allow-child-process', async (t) => {
    const nodeArgs = [...fork.nodeArgs, '--allow-child-process'];
    const { lines, code } = await run(t, 'environment/load-package', { ...fork, nodeArgs });
    t.deepEqual(lines, []);
    t.is(code, 0);
  });
}
