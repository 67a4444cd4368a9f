'use strict';
module.exports = { name: 'stop', summary: 'x', run() {} };
