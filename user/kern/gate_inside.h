// SPDX-License-Identifier: Apache-2.0
/*
 * gate_inside.h: what the files behind gate.h share: the struct and who does
 * what. gate.c opens and closes; gate_pins.c owns the folders on bpffs; gate_lock.c what keeps a second daemon out;
 * gate_layout.c says which layouts are known, gate_migrate.c takes older maps over;
 * gate_load.c has the programs and links; gate_maps.c the mapped arrays; gate_verify.c looks whether all of it still is as it was made;
 * gate_tables.c the keyed maps; gate_old.c connections from before; gate_events.c the ring. Nothing outside kern/ includes this.
 */
#ifndef PURSE_KERN_GATE_INSIDE_H
#define PURSE_KERN_GATE_INSIDE_H

#include <limits.h>

#include "kern/gate.h"

struct bpf_link;
struct gate_layout;
struct gate_bpf;
struct ring_buffer;

enum gate_map {
	GATE_MAP_AGENTS = 0,
	GATE_MAP_ACCOUNTS,
	GATE_MAP_HOLDS,
	GATE_MAP_ENDPOINTS,
	GATE_MAP_FLOWS,
	GATE_MAP_STATE,
	GATE_MAP_EVENTS,
	GATE_MAP_COUNTERS,
	GATE_MAP_LISTENERS,
	GATE_MAP_COUNT,
};

#define GATE_HOOKS_MAX 16
#define GATE_MAPS_NEXT "maps-next"

/* One attached program. */
struct gate_hook {
	const char *name; /* the program's, owned by the skeleton; also the name of the pin */
	uint32_t prog_id;
	struct bpf_link *link;
	uint64_t pin_ino; /* of the pin when it was last seen to be this link's; 0 = not yet */
};

/* What the programs were told by this process; gate_verify looks whether it still stands there. */
struct gate_told {
	bool policy, listeners;
	bool others_deny;
	uint16_t nports, ports[GATE_PORTS_MAX];
	uint64_t stale_after_ns;
	uint64_t daemon_cgroup;
	uint64_t netns_cookie;
	uint16_t port4, port6;
};

struct gate {
	char pin_dir[PATH_MAX - 64]; /* leaves room for "/links/<program>" */
	const char *maps_folder;     /* where this open has its maps: "maps", or GATE_MAPS_NEXT in a migration */
	const struct gate_layout *more_layouts;
	bool is_readonly;            /* made by gate_peek */
	bool is_fresh;
	int lock_fd, pins_fd; /* the two locks */
	uint32_t start; /* gate_state.generation as this open made it */
	uint64_t root_id; /* cgroup that the links are on */
	int root_fd;
	int map_fds[GATE_MAP_COUNT];
	uint64_t map_pin_inos[GATE_MAP_COUNT]; /* as in a hook */
	struct gate_told told;
	uint64_t sample; /* the agent whose cgroup gate_verify looked at last */
	bool is_sample_missing;
	struct gate_account *accounts;
	struct gate_hold *holds;
	struct gate_state *state;
	struct gate_bpf *programs;
	struct gate_hook hooks[GATE_HOOKS_MAX];
	size_t nhooks;
	struct ring_buffer *ring;
	void (*read_event)(void *ctx, const struct gate_event *ev); /* during gate_read_events only */
	void *read_ctx;
	unsigned read_left;
	uint64_t old_epoch; /* gate_old_epoch() */
};

/* ---- gate_lock.c: for as long as the descriptor lives. -EBUSY names the process that has it. */
int gate_lock(const char *path, int *ret_fd, struct err *e);
int gate_lock_pins(const char *pin_dir, int *ret_fd, struct err *e); /* the folder itself, which must be there */
int gate_lock_verify(struct gate *g, struct err *e);		     /* -ENOLINK: the folder is another one by now */
int gate_lock_pins_again(struct gate *g, struct err *e);	     /* if the folder is another one by now */
int gate_lock_check_pins(const struct gate *g, struct err *e);	     /* one from another process: -EINVAL: of another folder */
void gate_lock_unsign(const char *pin_dir);			     /* so that the folder can be removed */

/* ---- gate_pins.c */
const char *gate_map_name(enum gate_map m);
/* Mounts bpffs if need be and makes <pin_dir>/maps and /links. */
int gate_pins_make(const struct gate *g, struct err *e);
int gate_pins_remove(const char *pin_dir, struct err *e);
/* Ends links that another version pinned for programs that are not among g->hooks. */
int gate_pins_drop_other_links(struct gate *g, struct err *e);
/* Calls fn with the path and name of each pin in the folder until one answers with a negative errno and e. No such folder: -ENOENT. */
typedef int (*gate_pin_fn)(void *ctx, const char *path, const char *name, struct err *e);
int gate_each_pin(const char *folder, gate_pin_fn fn, void *ctx, struct err *e);
/* kind as in gate_pin_path. No such folder is fine. */
int gate_pins_remove_folder(const char *pin_dir, const char *kind, bool are_links, struct err *e);
/*
 * Is what is pinned under that name the object behind pin->fd? *ino is what stat said when it last was: while that stays the same nothing
 * needs to be opened. dir: of gate_pins_dir, to look once for the folder and then at many. -ENOLINK: gone, or another one.
 */
struct gate_pin {
	int fd;
	uint32_t (*id_of)(int fd);
};
int gate_pins_dir(const struct gate *g, const char *kind); /* a descriptor for looking; negative: gone */
int gate_pin_verify(const struct gate *g, int dir, const char *kind, const char *name, const struct gate_pin *pin, uint64_t *ino, struct err *e);
int gate_pin_replace(const char *path, int fd, struct err *e); /* over what stands there: never a moment without */
/* The path of a pin, for messages and libbpf. kind: "maps", GATE_MAPS_NEXT or "links". */
void gate_pin_path(const struct gate *g, const char *kind, const char *name, char ret[PATH_MAX]);

/* ---- gate_load.c */
int gate_load(struct gate *g, struct err *e);
int gate_attach(struct gate *g, struct err *e);
void gate_unload(struct gate *g); /* lets go; what is pinned stays attached */
int gate_hooks_verify(struct gate *g, struct err *e);
int gate_hooks_repair(struct gate *g, struct err *e);
const char *gate_hooks_missing_in(const struct gate *g, int cgroup); /* the first that is not among the effective programs there; NULL = none */

/* ---- gate_maps.c */
int gate_maps_open(struct gate *g, struct err *e);
void gate_maps_close(struct gate *g);
int gate_maps_verify_pins(struct gate *g, struct err *e); /* -ENOLINK: a pin is gone, or another's */
int gate_maps_pin_again(struct gate *g, struct err *e);

bool gate_map_is_array(enum gate_map m); /* one that is mapped */

/* ---- gate_migrate.c, in this order: begin, (load, open the maps), copy, (attach), commit. What fails leaves the old maps in force. */
int gate_migrate_begin(struct gate *g, const struct gate_layout *older, struct err *e);
int gate_migrate_copy(struct gate *g, const struct gate_layout *older, struct err *e);
int gate_migrate_commit(struct gate *g, const struct gate_layout *older, struct err *e);
int gate_migrate_clean(const struct gate *g, struct err *e); /* what an earlier one left beside the maps that are in force */

/* ---- gate_tables.c */
int gate_put_exempt(struct gate *g, struct err *e);

int gate_find_listener(struct gate *g, uint64_t netns_cookie, struct gate_listener *ret); /* -ENOENT */

/* ---- gate_old.c */
/* From here back there may be connections that nobody saw. Any thread. */
void gate_note_gap(struct gate *g);

/* ---- gate_events.c */
int gate_events_open(struct gate *g, struct err *e);
void gate_events_close(struct gate *g);

#endif
