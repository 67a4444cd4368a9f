'use strict';

const { readFileSync } = require('node:fs');
const path = require('node:path');

const DEPLOY = path.join(__dirname, '../../../deploy');

/** The path of a file in `deploy/`. */
const deployFile = (name) => path.join(DEPLOY, name);

const readDeployFile = (name) => readFileSync(deployFile(name), 'utf8');

/** Replaces texts, each of which must be there. */
function replaceAll(text, replacements) {
  return Object.entries(replacements).reduce((result, [old, replacement]) => {
    if (!result.includes(old)) throw new Error(`there is no ${JSON.stringify(old)} to replace`);
    return result.replaceAll(old, replacement);
  }, text);
}

module.exports = { deployFile, readDeployFile, replaceAll };
