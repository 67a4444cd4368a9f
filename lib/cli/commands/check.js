'use strict';
module.exports = { name: 'check', summary: 'x', run() {} };
