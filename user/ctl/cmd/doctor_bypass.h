// SPDX-License-Identifier: Apache-2.0
/*
 * doctor_bypass.h: `purse doctor --bypass`: the catalogue of ways round the gate (kern/ways.h) tried on this node, with this daemon and
 * these endpoints, by a temporary agent in a cgroup of its own. One line per way, the ones that cannot be tried included. Exit 1 if a way
 * is open to an agent that has nothing but its own code, or leads to a purse that does not answer; ways that need a capability or a helper
 * outside are told with what closes them.
 */
#ifndef PURSE_CTL_DOCTOR_BYPASS_H
#define PURSE_CTL_DOCTOR_BYPASS_H

struct cli;

int doctor_bypass(struct cli *cli); /* an exit code */

#endif
