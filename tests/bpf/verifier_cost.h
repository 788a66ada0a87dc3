// SPDX-License-Identifier: Apache-2.0
/* Rows of the record in test_gate_cost.c: `make test-kernels` prints the figures ("verifier-cost …"). */
	{ "6.1", { 13035, 15045, 13035, 15045, 19, 25, 1102, 970, 226, 7111, 1043, 1349 } },
	{ "6.12", { 8164, 9189, 8164, 9189, 19, 25, 1057, 986, 174, 6774, 1031, 1314 } },
	{ "6.18", { 7926, 8889, 7926, 8889, 19, 25, 1020, 0, 161, 7276, 1005, 1300 } },
