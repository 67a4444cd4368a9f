'use strict';

const LINES = 30;

function indent(text, by) {
  return text.replace(/^(?=.)/gm, by);
}

/** A failure on one line, with the last lines of the test's output below. */
function describeFailure({ label }, round, { reason, output }) {
  const said = output.split('\n').slice(-LINES).join('\n');
  return `  failed in round ${round}: ${label}: ${reason}\n${said ? `${indent(said, '    | ')}\n` : ''}`;
}

/** The files that are not run on the engine, one on each line. */
function describeSelection({ excluded, notPassed }) {
  const lines = [...excluded, ...notPassed].map(({ file, reason }) => `${file.label}: ${reason}`);
  return lines.map((line) => `  left out: ${line}\n`).join('');
}

/** The result of a Node binary's run; the last line is for programs to read. */
function summarize({ version }, { asked, excluded, notPassed }, failed) {
  const passed = asked.length - failed;
  const all = asked.length + excluded.length;
  const names = excluded.map(({ file }) => file.name).join(', ');
  const skipped = excluded.length + notPassed.length;
  return `Node ${version}: ${passed} of ${all} files that stock Node passes; excluded: ${names || 'none'}
${passed} passed, ${failed} failed, ${skipped} skipped
`;
}

module.exports = { describeFailure, describeSelection, summarize };
