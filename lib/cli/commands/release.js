'use strict';
module.exports = { name: 'release', summary: 'x', run() {} };
