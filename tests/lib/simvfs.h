// SPDX-License-Identifier: Apache-2.0
/*
 * simvfs.h: a disk in memory for SQLite, with the ways in which disks fail. Everything is repeatable: the same seed and the same calls
 * give the same bytes, also after a power cut. One thread.
 *
 *   what is written stands in the page cache: every handle sees it, the death of the process does not lose it
 *   what is synced stands on the disk
 *   a power cut keeps, of what was not synced, each write whole, torn between two sectors, or not at all, in no order
 *   a sync that fails drops some of what it should have written for good, though readers go on seeing it (as Linux does it)
 */
#ifndef PURSE_TESTS_SIMVFS_H
#define PURSE_TESTS_SIMVFS_H

#include <stdbool.h>
#include <stdint.h>

struct simdisk;

enum simdisk_fault {
	SIMDISK_WRITE_EIO,
	SIMDISK_WRITE_FULL, /* ENOSPC */
	SIMDISK_SYNC_EIO,
	SIMDISK_READ_EIO,
	SIMDISK_DEATH, /* any operation: from this one on nothing reaches the disk, all handles are dead */
	SIMDISK_FAULT_COUNT,
};

/* Becomes SQLite's default VFS; one at a time. */
struct simdisk *simdisk_new(uint64_t seed);
void simdisk_free(struct simdisk *d); /* all handles must be closed */
void simdisk_clock(struct simdisk *d, int64_t now_ns); /* what SQLite takes for the time */

/* The n-th operation of that kind from now (1 = the next) fails, and with it the `times - 1` after it; n = 0: no more of them. */
void simdisk_fault(struct simdisk *d, enum simdisk_fault fault, uint64_t n, uint64_t times);
/* Called at the operation that SIMDISK_DEATH hits. */
void simdisk_on_death(struct simdisk *d, void (*fn)(void *ctx), void *ctx);
bool simdisk_is_dead(const struct simdisk *d); /* SIMDISK_DEATH came */
uint64_t simdisk_operations(const struct simdisk *d);

/* The process is gone: its handles (they are closed later, without effect) and locks with it. New ones can be opened. */
void simdisk_process_dies(struct simdisk *d);
/* The same, and what was not synced is in doubt. */
void simdisk_power_cut(struct simdisk *d);

#endif
