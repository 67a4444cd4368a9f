'use strict';
module.exports = { name: 'completion', summary: 'x', run() {} };
