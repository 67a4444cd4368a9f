'use strict';

/** The supported releases of Node, on all of which packages are tried. */
const NODES = ['18', '20', '22', '24', '26'];

module.exports = { NODES };
