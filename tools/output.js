'use strict';

const readline = require('node:readline');

const TAIL = 4096;

/** Keeps the end of a stream's output, which is enough for the error message if the process fails. */
function keepTail(stream, length = TAIL) {
  let text = '';
  stream.setEncoding('utf8');
  stream.on('data', (chunk) => {
    text = (text + chunk).slice(-length);
  });
  return () => text.trim();
}

/** Resolves to the first line of a stream that is a JSON object; never settles if there is none. */
function firstJsonLine(stream) {
  return new Promise((resolve) => {
    readline.createInterface({ input: stream }).on('line', (line) => {
      if (line.startsWith('{')) resolve(JSON.parse(line));
    });
  });
}

/** "exit code 1" or "SIGSEGV", with the process's output on stderr below it. */
function describeEnd(code, signal, stderr) {
  const how = signal ?? `exit code ${code}`;
  return stderr ? `${how}; its stderr:\n${stderr.replace(/^/gm, '    ')}` : `${how}, stderr empty`;
}

module.exports = { describeEnd, firstJsonLine, keepTail };
