'use strict';
module.exports = { name: 'restart', summary: 'x', run() {} };
