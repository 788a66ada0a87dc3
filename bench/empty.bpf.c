// SPDX-License-Identifier: Apache-2.0
/* empty.bpf.c: says yes. What the kernel's statistics report for it is their own cost, so that the gate's figures can be read. */
#include <linux/bpf.h>

__attribute__((section("cgroup/connect4"), used)) int empty_connect4(struct bpf_sock_addr *ctx)
{
	return 1;
}

char _license[] __attribute__((section("license"), used)) = "Apache-2.0";
