// SPDX-License-Identifier: Apache-2.0
/*
 * seeds.c: for libFuzzer, which knows nothing of fuzz_seeds: writes them into the corpus folder (the first one named)
 * before it is read, so that a run does not begin by finding out what HTTP looks like.
 */
#include <stdio.h>

#include "fuzz.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const char *folder = NULL;
	char path[4096];

	for (int i = 1; i < *argc && !folder; i++)
		folder = (*argv)[i][0] == '-' ? NULL : (*argv)[i];
	if (!folder)
		return 0;
	for (size_t i = 0; fuzz_seeds && fuzz_seeds[i].p; i++) {
		FILE *f;

		(void)snprintf(path, sizeof(path), "%s/seed-%zu", folder, i);
		f = fopen(path, "wb");
		if (!f)
			continue;
		(void)fwrite(fuzz_seeds[i].p, 1, fuzz_seeds[i].n, f);
		(void)fclose(f);
	}
	return 0;
}
