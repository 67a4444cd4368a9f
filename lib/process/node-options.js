'use strict';

// The variable NODE_OPTIONS, as Node reads it: arguments are separated by spaces, and a backslash
// escapes only between double quotes.

function quote(arg) {
  return /[ "]/.test(arg) ? `"${arg.replace(/[\\"]/g, '\\$&')}"` : arg;
}

/** The arguments in the variable's value. */
function split(value) {
  const args = value.match(/(?:"(?:\\.|[^\\"])*"?|[^ "])+/gs) ?? [];
  const unquote = (_all, text) => text.replace(/\\(.)/gs, '$1');
  return args.map((arg) => arg.replace(/"((?:\\.|[^\\"])*)"?/gs, unquote));
}

module.exports = { quote, split };
