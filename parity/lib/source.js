'use strict';

const { readFileSync } = require('node:fs');
const path = require('node:path');

const RUNTIME = readFileSync(path.join(__dirname, '..', 'programs', 'runtime.js'), 'utf8');

/** The text of a program, which does not need any other file. */
function toSource(statements) {
  return `${RUNTIME}
// ---- this program

${toProgram(statements)}`;
}

/** The part of the text that is specific to one program. */
function toProgram(statements) {
  const sections = new Map();
  for (const { section, code } of statements) {
    if (!sections.has(section)) sections.set(section, []);
    sections.get(section).push(code);
  }
  const of = (name) => sections.get(name) ?? [];
  const named = (kind) => [...sections.keys()].filter((name) => name.startsWith(`${kind} `));
  const numbers = new Set(
    [...named('worker'), ...named('command')].map((name) => name.split(' ')[1]),
  );
  const lines = [
    'if (cluster.isPrimary) {',
    // These settings differ from Node's behavior by default.
    "  Object.assign(cluster.settings, { killMode: 'immediate', queueTimeout: 0 });",
    ...indent(of('primary')),
    ...named('hook').flatMap((name) => toHook(name, of(name))),
    '  (async () => {',
    ...indent(of('main'), 4),
    '    await finish();',
    '  })();',
    '} else {',
    '  listenToPrimary();',
    '}',
  ];
  for (const number of numbers) {
    const commands = named('command').filter((name) => name.startsWith(`command ${number} `));
    lines.push(
      `if (me === 'W${number}') {`,
      ...commands.flatMap((name) => toCommand(name, of(name))),
      ...indent(of(`worker ${number}`)),
      '}',
    );
  }
  return `${lines.join('\n')}\n`;
}

function toHook(name, codes) {
  const [, number, via, how, event] = name.split(' ');
  return [
    `  hook(${number}, '${via}', '${how}', '${event}', () => {`,
    ...indent(codes, 4),
    '  });',
  ];
}

function toCommand(name, codes) {
  return [`  commands[${name.split(' ')[2]}] = () => {`, ...indent(codes, 4), '  };'];
}

function indent(codes, by = 2) {
  return codes.map((code) => ' '.repeat(by) + code);
}

module.exports = { toProgram, toSource };
