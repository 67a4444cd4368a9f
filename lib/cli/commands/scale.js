'use strict';
module.exports = { name: 'scale', summary: 'x', run() {} };
