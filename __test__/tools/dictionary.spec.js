'use strict';

const { readFileSync } = require('node:fs');
const path = require('node:path');
const test = require('ava');

const FILE = path.join(__dirname, '..', '..', '.cspell-words.txt');

test('the words of the spelling checker are in lower case, sorted, and there once', (t) => {
  const words = readFileSync(FILE, 'utf8').trimEnd().split('\n');
  const sorted = [...new Set(words.map((word) => word.toLowerCase()))].sort();
  t.deepEqual(words, sorted);
});
