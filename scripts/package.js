'use strict';

// npm run package: makes the main package as it is published, in target/package, and prints that path. It has the
// addon that has been built here, which npm leaves out, so that it runs: `CLUSTER=$(npm run -s package) npx ava`.

const { makeRunnable } = require('../packaging/lib/main-package.js');

console.log(makeRunnable());
