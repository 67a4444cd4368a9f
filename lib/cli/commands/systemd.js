'use strict';
module.exports = { name: 'systemd', summary: 'x', run() {} };
