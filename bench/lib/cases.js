'use strict';

const { UserError } = require('../../tools/user-error.js');

function toExpression(pattern) {
  try {
    return new RegExp(pattern, 'i');
  } catch (error) {
    throw new UserError(`--only ${pattern}: ${error.message}`);
  }
}

/** The cases whose names match the pattern of `--only`. */
function selectCases(all, only = '') {
  const expression = toExpression(only);
  const cases = all.filter(({ name }) => expression.test(name));
  if (cases.length > 0) return cases;
  const names = all.map(({ name }) => `  ${name}`).join('\n');
  throw new UserError(`--only ${only} leaves no case. There is:\n${names}`);
}

module.exports = { selectCases };
