'use strict';
module.exports = { name: 'hold', summary: 'x', run() {} };
