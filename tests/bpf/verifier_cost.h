// SPDX-License-Identifier: Apache-2.0
/* Rows of the record in test_gate_cost.c: `make test-kernels` prints the figures ("verifier-cost …"). */
	{ "6.1", { 12346, 14310, 12346, 14310, 19, 25, 995, 970, 226, 7111 } },
	{ "6.12", { 8164, 9189, 8164, 9189, 19, 25, 986, 986, 174, 6774 } },
	{ "6.18", { 7716, 8889, 7716, 8889, 19, 25, 935, 0, 161, 7276 } },
