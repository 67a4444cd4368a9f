'use strict';

/** The variable that a primary has which another one has started, to take its place: the number of a descriptor. */
const UPGRADE_VARIABLE = 'RS_CLUSTER_UPGRADE';

module.exports = UPGRADE_VARIABLE;
