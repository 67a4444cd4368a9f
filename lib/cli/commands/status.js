'use strict';
module.exports = { name: 'status', summary: 'x', run() {} };
