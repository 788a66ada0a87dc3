// SPDX-License-Identifier: Apache-2.0
/* simvfs.c: see simvfs.h. Files by name, each with what readers see, what the disk has, and the writes between the two. */
#include "simvfs.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECTOR 512
#define SHM_LOCKS SQLITE_SHM_NLOCK
#define REGIONS_MAX 64

struct bytes {
	unsigned char *p;
	size_t n, room;
};

/* A write (data) or a truncation (NULL) that the disk does not have yet. */
struct pending {
	struct pending *next;
	uint64_t at;
	size_t n;
	unsigned char *data;
};

/* The wal-index: shared by the handles of one life of the process. */
struct shm {
	unsigned refs, nregions;
	void *regions[REGIONS_MAX];
	int readers[SHM_LOCKS];
	bool taken[SHM_LOCKS];
};

struct file {
	struct file *next;
	char name[512];
	bool exists, on_disk; /* its entry in the directory: as seen, as synced */
	struct bytes seen, disk;
	struct pending *pending, **pending_end;
	struct bytes ghost; /* a file of this name that was deleted; the directory was not synced since */
	bool has_ghost;
	struct shm *shm;
	int locks[5]; /* handles by lock level */
};

struct handle {
	sqlite3_file base; /* first: SQLite sees it as this */
	struct simdisk *disk;
	struct file *file;
	uint64_t life; /* of the process that opened it */
	bool is_anonymous;
	int lock;
	struct shm *shm;
	uint16_t shared, exclusive;
};

struct simdisk {
	sqlite3_vfs vfs;
	struct file *files;
	uint64_t dice, life, operations;
	bool is_dead;
	uint64_t countdown[SIMDISK_FAULT_COUNT], times[SIMDISK_FAULT_COUNT];
	int64_t now_ms;
	void (*on_death)(void *ctx);
	void *on_death_ctx;
};

static void *must(void *p)
{
	if (!p)
		abort();
	return p;
}

static uint64_t roll(struct simdisk *d)
{
	uint64_t z = d->dice += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* ---- bytes */

static void bytes_resize(struct bytes *b, size_t n)
{
	if (n > b->room) {
		b->room = n * 2;
		b->p = must(realloc(b->p, b->room));
	}
	if (n > b->n)
		memset(b->p + b->n, 0, n - b->n);
	b->n = n;
}

static void bytes_write(struct bytes *b, uint64_t at, const void *data, size_t n)
{
	if (at + n > b->n)
		bytes_resize(b, at + n);
	memcpy(b->p + at, data, n);
}

static void bytes_copy(struct bytes *to, const struct bytes *from)
{
	to->n = 0;
	if (from->n)
		bytes_write(to, 0, from->p, from->n);
}

static void bytes_free(struct bytes *b)
{
	free(b->p);
	*b = (struct bytes){ 0 };
}

/* ---- files */

static struct file *file_find(struct simdisk *d, const char *name)
{
	for (struct file *f = d->files; f; f = f->next)
		if (strcmp(f->name, name) == 0)
			return f;
	return NULL;
}

static struct file *file_make(struct simdisk *d, const char *name)
{
	struct file *f = must(calloc(1, sizeof(*f)));

	(void)snprintf(f->name, sizeof(f->name), "%s", name);
	f->pending_end = &f->pending;
	if (d) {
		f->next = d->files;
		d->files = f;
	}
	return f;
}

static void pending_add(struct file *f, uint64_t at, const void *data, size_t n)
{
	struct pending *w = must(calloc(1, sizeof(*w)));

	w->at = at;
	w->n = n;
	if (data) {
		w->data = must(malloc(n ? n : 1));
		memcpy(w->data, data, n);
	}
	*f->pending_end = w;
	f->pending_end = &w->next;
}

/* The disk gets bytes [from, to) of a write. */
static void pending_apply(struct file *f, const struct pending *w, size_t from, size_t to)
{
	if (!w->data)
		bytes_resize(&f->disk, w->at);
	else if (from < to)
		bytes_write(&f->disk, w->at + from, w->data + from, to - from);
}

static void pending_drop(struct file *f)
{
	for (struct pending *w = f->pending, *next; w; w = next) {
		next = w->next;
		free(w->data);
		free(w);
	}
	f->pending = NULL;
	f->pending_end = &f->pending;
}

/* Each write by chance: whole, its first sectors, its last sectors, nothing. */
static void pending_gamble(struct simdisk *d, struct file *f)
{
	for (struct pending *w = f->pending; w; w = w->next) {
		uint64_t luck = roll(d) % 8, cut = w->n / SECTOR ? roll(d) % (w->n / SECTOR + 1) * SECTOR : 0;

		if (luck < 3)
			pending_apply(f, w, 0, w->n);
		else if (luck == 3 && w->data)
			pending_apply(f, w, 0, cut);
		else if (luck == 4 && w->data)
			pending_apply(f, w, cut, w->n);
	}
	pending_drop(f);
}

static void shm_unref(struct shm *s)
{
	if (!s || --s->refs)
		return;
	for (unsigned i = 0; i < s->nregions; i++)
		free(s->regions[i]);
	free(s);
}

static void file_free(struct file *f)
{
	pending_drop(f);
	bytes_free(&f->seen);
	bytes_free(&f->disk);
	bytes_free(&f->ghost);
	shm_unref(f->shm);
	free(f);
}

/* ---- faults */

static bool fails(struct simdisk *d, enum simdisk_fault fault)
{
	if (d->countdown[fault] == 0 || --d->countdown[fault] > 0)
		return false;
	if (--d->times[fault])
		d->countdown[fault] = 1;
	return true;
}

/* Is the process that asks still alive? Counts the operation. */
static bool lives(struct handle *h)
{
	struct simdisk *d = h->disk;

	d->operations++;
	if (fails(d, SIMDISK_DEATH)) {
		d->is_dead = true;
		if (d->on_death)
			d->on_death(d->on_death_ctx);
	}
	return !d->is_dead && h->life == d->life;
}

/* ---- file methods */

static void unlock_all(struct handle *h)
{
	if (h->lock)
		h->file->locks[h->lock]--;
	h->lock = 0;
}

static int shm_unlock(struct handle *h, uint16_t mask)
{
	for (int i = 0; h->shm && i < SHM_LOCKS; i++) {
		if (!(mask >> i & 1))
			continue;
		h->shm->readers[i] -= h->shared >> i & 1;
		if (h->exclusive >> i & 1)
			h->shm->taken[i] = false;
	}
	h->shared &= (uint16_t)~mask;
	h->exclusive &= (uint16_t)~mask;
	return SQLITE_OK;
}

static int x_shm_unmap(sqlite3_file *base, int remove)
{
	struct handle *h = (struct handle *)base;

	(void)remove;
	if (!h->shm)
		return SQLITE_OK;
	(void)shm_unlock(h, 0xffff);
	/* The last one takes it along, as the last process that closes a database does. */
	if (h->file->shm == h->shm && h->shm->refs == 2) {
		h->file->shm = NULL;
		shm_unref(h->shm);
	}
	shm_unref(h->shm);
	h->shm = NULL;
	return SQLITE_OK;
}

static int x_close(sqlite3_file *base)
{
	struct handle *h = (struct handle *)base;

	(void)x_shm_unmap(base, 0);
	if (h->life == h->disk->life)
		unlock_all(h);
	if (h->is_anonymous)
		file_free(h->file);
	return SQLITE_OK;
}

static int x_read(sqlite3_file *base, void *to, int n, sqlite3_int64 at)
{
	struct handle *h = (struct handle *)base;
	const struct bytes *b = &h->file->seen;

	if (!lives(h) || fails(h->disk, SIMDISK_READ_EIO))
		return SQLITE_IOERR_READ;
	size_t have = (uint64_t)at >= b->n ? 0 : b->n - (size_t)at;

	if (have >= (size_t)n) {
		memcpy(to, b->p + at, (size_t)n);
		return SQLITE_OK;
	}
	memset(to, 0, (size_t)n);
	if (have)
		memcpy(to, b->p + at, have);
	return SQLITE_IOERR_SHORT_READ;
}

static int x_write(sqlite3_file *base, const void *from, int n, sqlite3_int64 at)
{
	struct handle *h = (struct handle *)base;

	if (!lives(h) || fails(h->disk, SIMDISK_WRITE_EIO))
		return SQLITE_IOERR_WRITE;
	if (fails(h->disk, SIMDISK_WRITE_FULL))
		return SQLITE_FULL;
	bytes_write(&h->file->seen, (uint64_t)at, from, (size_t)n);
	pending_add(h->file, (uint64_t)at, from, (size_t)n);
	return SQLITE_OK;
}

static int x_truncate(sqlite3_file *base, sqlite3_int64 size)
{
	struct handle *h = (struct handle *)base;

	if (!lives(h))
		return SQLITE_IOERR_TRUNCATE;
	bytes_resize(&h->file->seen, (size_t)size);
	pending_add(h->file, (uint64_t)size, NULL, 0);
	return SQLITE_OK;
}

static int x_sync(sqlite3_file *base, int flags)
{
	struct handle *h = (struct handle *)base;
	struct file *f = h->file;

	(void)flags;
	if (!lives(h))
		return SQLITE_IOERR_FSYNC;
	if (fails(h->disk, SIMDISK_SYNC_EIO)) {
		pending_gamble(h->disk, f);
		return SQLITE_IOERR_FSYNC;
	}
	for (struct pending *w = f->pending; w; w = w->next)
		pending_apply(f, w, 0, w->n);
	pending_drop(f);
	/* The first sync of a new file syncs the folder too, there is but one: all that was made or deleted in it. */
	for (struct file *g = h->disk->files; g && !f->on_disk; g = g->next) {
		g->has_ghost = false;
		if (g != f)
			g->on_disk = g->exists;
	}
	f->on_disk = f->exists;
	return SQLITE_OK;
}

static int x_size(sqlite3_file *base, sqlite3_int64 *ret)
{
	*ret = (sqlite3_int64)((struct handle *)base)->file->seen.n;
	return SQLITE_OK;
}

static int others(const struct handle *h, int least)
{
	int n = 0;

	for (int level = least; level <= SQLITE_LOCK_EXCLUSIVE; level++)
		n += h->file->locks[level];
	return n - (h->lock >= least);
}

static int x_lock(sqlite3_file *base, int level)
{
	struct handle *h = (struct handle *)base;

	if (!lives(h))
		return SQLITE_IOERR_LOCK;
	if (level <= h->lock)
		return SQLITE_OK;
	if (level == SQLITE_LOCK_SHARED ? others(h, SQLITE_LOCK_PENDING) :
	    level == SQLITE_LOCK_EXCLUSIVE ? others(h, SQLITE_LOCK_SHARED) : others(h, SQLITE_LOCK_RESERVED))
		return SQLITE_BUSY;
	unlock_all(h);
	h->lock = level;
	h->file->locks[level]++;
	return SQLITE_OK;
}

static int x_unlock(sqlite3_file *base, int level)
{
	struct handle *h = (struct handle *)base;

	if (h->life != h->disk->life || level >= h->lock)
		return SQLITE_OK;
	unlock_all(h);
	h->lock = level;
	if (level)
		h->file->locks[level]++;
	return SQLITE_OK;
}

static int x_check_reserved(sqlite3_file *base, int *ret)
{
	*ret = others((struct handle *)base, SQLITE_LOCK_RESERVED) > 0;
	return SQLITE_OK;
}

static int x_control(sqlite3_file *base, int op, void *arg)
{
	(void)base;
	(void)op;
	(void)arg;
	return SQLITE_NOTFOUND;
}

static int x_sector(sqlite3_file *base)
{
	(void)base;
	return 4096;
}

static int x_device(sqlite3_file *base)
{
	(void)base;
	return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

static int x_shm_map(sqlite3_file *base, int region, int size, int extend, void volatile **ret)
{
	struct handle *h = (struct handle *)base;

	if (!lives(h) || region >= REGIONS_MAX)
		return SQLITE_IOERR_SHMMAP;
	if (!h->shm) {
		if (!h->file->shm) {
			h->file->shm = must(calloc(1, sizeof(struct shm)));
			h->file->shm->refs = 1;
		}
		h->shm = h->file->shm;
		h->shm->refs++;
	}
	*ret = NULL;
	while (extend && h->shm->nregions <= (unsigned)region)
		h->shm->regions[h->shm->nregions++] = must(calloc(1, (size_t)size));
	if ((unsigned)region < h->shm->nregions)
		*ret = h->shm->regions[region];
	return SQLITE_OK;
}

static int x_shm_lock(sqlite3_file *base, int first, int n, int flags)
{
	struct handle *h = (struct handle *)base;
	uint16_t mask = (uint16_t)(((1 << n) - 1) << first);

	if (flags & SQLITE_SHM_UNLOCK)
		return shm_unlock(h, mask);
	if (!lives(h) || !h->shm)
		return SQLITE_IOERR_SHMLOCK;
	bool wants_all = flags & SQLITE_SHM_EXCLUSIVE;

	for (int i = first; i < first + n; i++) {
		int mine = h->shared >> i & 1;

		if ((h->shm->taken[i] && !(h->exclusive >> i & 1)) || (wants_all && h->shm->readers[i] > mine))
			return SQLITE_BUSY;
	}
	for (int i = first; i < first + n; i++) {
		if (wants_all)
			h->shm->taken[i] = true;
		else if (!(h->shared >> i & 1))
			h->shm->readers[i]++;
	}
	if (wants_all)
		h->exclusive |= mask;
	else
		h->shared |= mask;
	return SQLITE_OK;
}

static void x_shm_barrier(sqlite3_file *base)
{
	(void)base;
	__sync_synchronize();
}

static const sqlite3_io_methods methods = {
	.iVersion = 2,
	.xClose = x_close,
	.xRead = x_read,
	.xWrite = x_write,
	.xTruncate = x_truncate,
	.xSync = x_sync,
	.xFileSize = x_size,
	.xLock = x_lock,
	.xUnlock = x_unlock,
	.xCheckReservedLock = x_check_reserved,
	.xFileControl = x_control,
	.xSectorSize = x_sector,
	.xDeviceCharacteristics = x_device,
	.xShmMap = x_shm_map,
	.xShmLock = x_shm_lock,
	.xShmBarrier = x_shm_barrier,
	.xShmUnmap = x_shm_unmap,
};

/* ---- the disk's methods */

static int x_open(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *base, int flags, int *ret_flags)
{
	struct handle *h = (struct handle *)base;
	struct simdisk *d = vfs->pAppData;

	memset(h, 0, sizeof(*h));
	if (d->is_dead)
		return SQLITE_CANTOPEN;
	h->disk = d;
	h->life = d->life;
	h->is_anonymous = name == NULL;
	h->file = name ? file_find(d, name) : file_make(NULL, "");
	if (!h->file)
		h->file = file_make(d, name);
	h->file->exists = true;
	h->base.pMethods = &methods;
	if (ret_flags)
		*ret_flags = flags;
	return SQLITE_OK;
}

static int x_delete(sqlite3_vfs *vfs, const char *name, int sync_folder)
{
	struct simdisk *d = vfs->pAppData;
	struct file *f = file_find(d, name);

	d->operations++;
	if (d->is_dead)
		return SQLITE_IOERR_DELETE;
	if (!f || !f->exists)
		return SQLITE_IOERR_DELETE_NOENT;
	if (f->on_disk) {
		bytes_copy(&f->ghost, &f->disk);
		f->has_ghost = true;
	}
	f->exists = f->on_disk = false;
	f->has_ghost &= !sync_folder;
	pending_drop(f);
	f->seen.n = f->disk.n = 0;
	return SQLITE_OK;
}

static int x_access(sqlite3_vfs *vfs, const char *name, int flags, int *ret)
{
	const struct file *f = file_find(vfs->pAppData, name);

	(void)flags;
	*ret = f && f->exists && (flags != SQLITE_ACCESS_EXISTS || f->seen.n > 0);
	return SQLITE_OK;
}

static int x_full_path(sqlite3_vfs *vfs, const char *name, int n, char *ret)
{
	(void)vfs;
	(void)snprintf(ret, (size_t)n, "%s", name);
	return SQLITE_OK;
}

static int x_randomness(sqlite3_vfs *vfs, int n, char *ret)
{
	for (int i = 0; i < n; i++)
		ret[i] = (char)roll(vfs->pAppData);
	return n;
}

/* Who waits for a lock here waits for nobody: there is one thread. */
static int x_sleep(sqlite3_vfs *vfs, int us)
{
	(void)vfs;
	return us;
}

static int x_time(sqlite3_vfs *vfs, sqlite3_int64 *ret)
{
	const struct simdisk *d = vfs->pAppData;

	*ret = INT64_C(210866760000000) + d->now_ms; /* 1970 in Julian milliseconds */
	return SQLITE_OK;
}

static int x_time_days(sqlite3_vfs *vfs, double *ret)
{
	sqlite3_int64 ms;

	(void)x_time(vfs, &ms);
	*ret = (double)ms / 86400000.0;
	return SQLITE_OK;
}

static int x_last_error(sqlite3_vfs *vfs, int n, char *ret)
{
	(void)vfs;
	(void)n;
	(void)ret;
	return 0;
}

struct simdisk *simdisk_new(uint64_t seed)
{
	struct simdisk *d = must(calloc(1, sizeof(*d)));

	d->dice = seed;
	d->life = 1;
	d->vfs = (sqlite3_vfs){
		.iVersion = 2,
		.szOsFile = sizeof(struct handle),
		.mxPathname = 500,
		.zName = "simdisk",
		.pAppData = d,
		.xOpen = x_open,
		.xDelete = x_delete,
		.xAccess = x_access,
		.xFullPathname = x_full_path,
		.xRandomness = x_randomness,
		.xSleep = x_sleep,
		.xCurrentTime = x_time_days,
		.xGetLastError = x_last_error,
		.xCurrentTimeInt64 = x_time,
	};
	if (sqlite3_vfs_register(&d->vfs, 1) != SQLITE_OK)
		abort();
	sqlite3_randomness(0, NULL); /* its dice are thrown anew, by ours */
	return d;
}

void simdisk_free(struct simdisk *d)
{
	(void)sqlite3_vfs_unregister(&d->vfs);
	for (struct file *f = d->files, *next; f; f = next) {
		next = f->next;
		file_free(f);
	}
	free(d);
}

void simdisk_clock(struct simdisk *d, int64_t now_ns)
{
	d->now_ms = now_ns / 1000000;
}

void simdisk_fault(struct simdisk *d, enum simdisk_fault fault, uint64_t n, uint64_t times)
{
	d->countdown[fault] = n;
	d->times[fault] = times ? times : 1;
}

void simdisk_on_death(struct simdisk *d, void (*fn)(void *ctx), void *ctx)
{
	d->on_death = fn;
	d->on_death_ctx = ctx;
}

bool simdisk_is_dead(const struct simdisk *d)
{
	return d->is_dead;
}

uint64_t simdisk_operations(const struct simdisk *d)
{
	return d->operations;
}

void simdisk_process_dies(struct simdisk *d)
{
	d->life++;
	d->is_dead = false;
	memset(d->countdown, 0, sizeof(d->countdown));
	for (struct file *f = d->files; f; f = f->next) {
		shm_unref(f->shm);
		f->shm = NULL;
		memset(f->locks, 0, sizeof(f->locks));
	}
}

void simdisk_power_cut(struct simdisk *d)
{
	simdisk_process_dies(d);
	for (struct file *f = d->files; f; f = f->next) {
		bool folder_is_old = !f->on_disk && roll(d) % 2;

		pending_gamble(d, f);
		if (f->on_disk) {
			f->exists = true;
		} else if (f->has_ghost && folder_is_old) {
			bytes_copy(&f->disk, &f->ghost);
			f->exists = f->on_disk = true;
		} else if (folder_is_old) {
			f->exists = false;
			f->disk.n = 0;
		}
		f->on_disk = f->exists;
		f->has_ghost = false;
		bytes_copy(&f->seen, &f->disk);
	}
}
