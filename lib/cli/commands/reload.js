'use strict';
module.exports = { name: 'reload', summary: 'x', run() {} };
