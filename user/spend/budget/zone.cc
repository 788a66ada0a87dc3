// SPDX-License-Identifier: Apache-2.0
/*
 * zone.cc: see zone.h. The zones themselves are read by cctz (which also goes on after the last transition on file, by the zone's rule);
 * this file makes a small C interface of it and decides what a name may be. cctz shows nowhere else.
 */
extern "C" {
#include "spend/budget/zone.h"
}

#include <cctz/time_zone.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <map>
#include <mutex>
#include <new>
#include <string>

struct zone {
	cctz::time_zone tz;
};

namespace {

std::mutex lock;
std::map<std::string, zone *> &cache()
{
	/* Never destroyed: threads may still look things up while the process ends. */
	static auto *zones = new std::map<std::string, zone *>;

	return *zones;
}

/* cctz opens absolute paths, "file:…" and "localtime" too; only names of the database are wanted. */
bool is_name(const char *name)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/";
	size_t n = strlen(name);

	if (n == 0 || n > 47 || strspn(name, letters) != n)
		return false;
	return name[0] != '/' && name[n - 1] != '/' && !strstr(name, "//") && strcmp(name, "localtime") != 0;
}

int open_zone(const char *name, const zone **ret)
{
	std::lock_guard<std::mutex> hold(lock);
	auto at = cache().find(name);

	if (at == cache().end()) {
		cctz::time_zone tz;

		if (!cctz::load_time_zone(name, &tz))
			return -EINVAL;
		at = cache().emplace(name, new zone{ tz }).first;
	}
	*ret = at->second;
	return 0;
}

}

int zone_open(const char *name, const struct zone **ret, struct err *e)
{
	if (name[0] == '\0' || strcmp(name, "UTC") == 0 || strcmp(name, "Etc/UTC") == 0) {
		*ret = nullptr;
		return 0;
	}
	try {
		if (is_name(name) && open_zone(name, ret) == 0)
			return 0;
	} catch (const std::bad_alloc &) {
		return err_set(e, ENOMEM, "time zone \"%.47s\": out of memory", name);
	}
	return err_set(e, EINVAL, "time zone \"%.47s\" is not known here; write an IANA name such as Europe/Berlin, as they stand in "
		       "/usr/share/zoneinfo (package tzdata)", name);
}

int32_t zone_offset(const struct zone *z, int64_t at_s)
{
	return z->tz.lookup(cctz::time_point<cctz::seconds>(cctz::seconds(at_s))).offset;
}

int64_t zone_first(const struct zone *z, int64_t local_s)
{
	auto found = z->tz.lookup(cctz::civil_second(1970, 1, 1) + local_s);
	auto first = found.kind == cctz::time_zone::civil_lookup::SKIPPED ? found.trans : found.pre;

	return first.time_since_epoch().count();
}
