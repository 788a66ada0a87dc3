# SPDX-License-Identifier: Apache-2.0
# purse. `make` builds, `make test` proves, `make demo` shows. V=1 prints whole command lines.
# Artefacts go to $(O), one folder; `make O=elsewhere` builds beside it.
# SAN=1: AddressSanitizer and UBSan. CRASH=1: compiles the named crash points in (tests only).

O       ?= build
CC      ?= gcc
CXX     ?= g++
CLANG   ?= clang
BPFTOOL ?= $(shell command -v bpftool || echo /usr/sbin/bpftool)
ARCH    := $(subst x86_64,x86,$(subst aarch64,arm64,$(shell uname -m)))
PREFIX  ?= /usr/local

ifeq ($(V),1)
say = @:
Q   =
else
say = @printf '  %-7s %s\n'
Q   = @
endif

WARN   := -Wall -Wextra -Werror -Wshadow -Wvla -Wno-unused-parameter
HARD   := -fPIE -fstack-protector-strong -fno-omit-frame-pointer
FLAGS  := -O2 -g $(WARN) $(HARD) -MMD -MP -D_GNU_SOURCE -Iuser -Iinclude -I$(O)/gen -I/usr/share/include/llhttp
LDHARD := -pie -Wl,-z,relro,-z,now,-z,noexecstack
ifeq ($(SAN),1)
FLAGS  += -fsanitize=address,undefined -fno-sanitize-recover=undefined
LDHARD += -fsanitize=address,undefined
else
FLAGS  += -D_FORTIFY_SOURCE=2
endif
ifeq ($(CRASH),1)
FLAGS  += -DPURSE_CRASH_POINTS
endif
CFLAGS_   := -std=gnu11 $(FLAGS) -Wstrict-prototypes -Wmissing-prototypes $(CFLAGS)
CXXFLAGS_ := -std=c++17 -fno-rtti $(FLAGS) $(CXXFLAGS)
LIBS      := -lbpf -lelf -lz -lssl -lcrypto -lnghttp2 -luv -lsqlite3 -lyaml -lsimdjson -lbrotlidec -lzstd -lcurl -lcares -lcctz -lstdc++ -lpthread -lm

# ---- the folders of user/, each one archive. below_X: whom X may call (style: who may include whom).
FOLDERS        := base kern spend provider wire path ctl
below_base     :=
below_kern     := base
below_spend    := base
below_provider := base
below_wire     := base
below_path     := wire provider spend kern base
below_ctl      := wire provider spend kern base

# a folder may have rooms (user/spend/ledger/): they are walls for the reader, not layers
sources  = $(wildcard user/$(1)/*.c user/$(1)/*.cc user/$(1)/*/*.c user/$(1)/*/*.cc)
objects  = $(patsubst user/%,$(O)/user/%.o,$(basename $(call sources,$(1)))) $(extra_$(1))
archives = $(patsubst %,$(O)/lib%.a,$(1))
extra_wire := $(O)/llhttp/api.o $(O)/llhttp/http.o $(O)/llhttp/llhttp.o

PROGRAMS := $(O)/purse $(O)/pursed
UNIT     := $(patsubst tests/%.c,$(O)/tests/%,$(wildcard tests/unit/*/test_*.c tests/unit/*/*/test_*.c tests/bpf/test_*.c))

.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: test-kernels all test unit sim faults fuzz fuzz-run fuzz-smoke fuzz-long demo deps lint asan bench bench-ledger clean install vmlinux.h-again

all: $(PROGRAMS) $(O)/prices.yaml

# purse looks for it there when nothing is installed
$(O)/prices.yaml: deploy/prices.yaml
	@cp $< $@

$(O)/pursed: $(O)/user/daemon.o $(patsubst user/%.c,$(O)/user/%.o,$(wildcard user/daemon/*.c user/upgrade*.c)) $(call archives,path ctl wire provider spend kern base)
$(O)/purse: $(O)/user/cli.o $(call archives,ctl wire provider spend kern base)
$(PROGRAMS):
	$(say) LINK $@
	$(Q)$(CC) $(LDHARD) $(LDFLAGS) -o $@ $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LIBS)

# One rule per archive.
define archive_rule
$(O)/lib$(1).a: $(call objects,$(1))
	$$(say) AR $$@
	$$(Q)rm -f $$@ && ar qcs $$@ $$^
endef
$(foreach f,$(FOLDERS),$(eval $(call archive_rule,$(f))))

$(O)/user/%.o: user/%.c
	$(say) CC $<
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_) -c -o $@ $<
$(O)/user/%.o: user/%.cc
	$(say) CXX $<
	@mkdir -p $(@D)
	$(Q)$(CXX) $(CXXFLAGS_) -c -o $@ $<
# llhttp ships as C sources (Debian node-llhttp); warnings there are not ours.
$(O)/llhttp/%.o: /usr/share/llhttp/%.c
	$(say) CC $<
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -O2 -g -w $(HARD) -I/usr/share/include/llhttp -c -o $@ $<

# ---- the gate: bpf/*.bpf.c -> object -> skeleton, used by kern/ only
$(O)/gate.bpf.o: bpf/gate.bpf.c $(wildcard bpf/*.h) include/gate_abi.h vmlinux.h
	$(say) BPF $<
	@mkdir -p $(@D)
	$(Q)$(CLANG) -g -O2 -target bpf -mcpu=v3 -D__TARGET_ARCH_$(ARCH) -Wall -Werror -Iinclude -I. -c -o $@ $<
$(O)/gen/gate.skel.h: $(O)/gate.bpf.o
	$(say) SKEL $@
	@mkdir -p $(@D)
	$(Q)$(BPFTOOL) gen skeleton $< name gate_bpf > $@
$(call objects,kern): | $(O)/gen/gate.skel.h
# vmlinux.h is committed, so that a machine without BTF can build. To make it again:
vmlinux.h-again:
	$(BPFTOOL) btf dump file /sys/kernel/btf/vmlinux format c > vmlinux.h

# ---- tests
define unit_rule
$(O)/tests/unit/$(1)/%: tests/unit/$(1)/%.c $(call archives,$(1) $(below_$(1)))
	$$(say) TEST $$@
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(CFLAGS_) -Itests/lib -Itests/unit/$(1) -Ibpf $$(LDHARD) -o $$@ $$< -Wl,--start-group $$(filter %.a,$$^) -Wl,--end-group -lcmocka $$(LIBS)
endef
$(foreach f,$(FOLDERS),$(eval $(call unit_rule,$(f))))
$(O)/tests/bpf/%: tests/bpf/%.c $(call archives,kern base)
	$(say) TEST $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_) -Itests/lib -Ibpf $(LDHARD) -o $@ $< -Wl,--start-group $(filter %.a,$^) -Wl,--end-group -lcmocka $(LIBS)

unit: $(UNIT)

# tests/fuzz/fuzz.h says how. FUZZ_CLANG=1: libFuzzer instead of our own driver, in a folder of its own.
FUZZ_SECONDS ?= 2
FUZZ_RUNS    ?= 2000
SECONDS      ?= 3600
FUZZ := $(patsubst %,$(O)/tests/fuzz/%,$(or $(FUZZ_ONLY),$(basename $(notdir $(wildcard tests/fuzz/fuzz_*.c)))))
export FUZZ_ONLY
$(O)/tests/fuzz/%: tests/fuzz/%.c tests/fuzz/fuzz.h tests/fuzz/$(if $(FUZZ_CLANG),seeds,driver).c $(call archives,path ctl wire provider spend kern base)
	$(say) FUZZ $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_) $(LDHARD) $(if $(FUZZ_CLANG),-fsanitize=fuzzer) -o $@ $(filter %.c,$^) \
		-Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LIBS)
fuzz-run: $(FUZZ)
	$(Q)tests/fuzz/run.sh $(O) $(if $(FUZZ_CLANG),guided,blind) $(FUZZ_SECONDS)
# The same inputs each time; part of `make test`.
fuzz-smoke: $(FUZZ)
	$(Q)tests/fuzz/run.sh $(O) smoke $(FUZZ_RUNS)
# What gcc does not mind.
fuzz_clang = O=$(O)-fuzz SAN=1 CC=clang CXX=clang++ FUZZ_CLANG=1 \
	CFLAGS='-fsanitize=fuzzer-no-link -Wno-missing-field-initializers -Wno-string-concatenation' CXXFLAGS='-fsanitize=fuzzer-no-link -fno-sanitize=function'
fuzz: deps
ifdef FUZZ_CLANG
	@$(MAKE) --no-print-directory $(fuzz_clang) fuzz-run
else
	@$(MAKE) --no-print-directory O=$(O)-asan SAN=1 fuzz-run
endif
# SECONDS for each target; FUZZ_ONLY="fuzz_h1 fuzz_h2" for some of them.
fuzz-long: deps
	@deploy/install-deps.sh fuzz
	@$(MAKE) --no-print-directory $(fuzz_clang) FUZZ_SECONDS=$(SECONDS) fuzz-run

# The simulator of the accounting core. `make test` runs it for some seconds, `make sim` for SIM_SECONDS; tests/sim/sim.c says the rest.
SIM_SECONDS ?= 600
$(O)/tests/sim/sim: $(wildcard tests/sim/*.c) tests/lib/simvfs.c $(wildcard tests/sim/*.h) tests/lib/simvfs.h $(call archives,spend base)
	$(say) SIM $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(filter-out -MMD -MP,$(CFLAGS_)) -Itests/lib $(LDHARD) -o $@ $(filter %.c,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LIBS)
sim: $(O)/tests/sim/sim
	$(O)/tests/sim/sim --seconds $(SIM_SECONDS)

# The real daemon on a machine that fails: docs/faults.md. The short form is part of `make test`.
faults: deps
	@FAULTS_LONG=1 tests/run.sh faults

deps:
	@deploy/install-deps.sh

lint: all
	@tests/lint.sh $(O)

test: deps
	@tests/run.sh

# The gate on each of Debian's other kernels, under plain emulation: minutes. `make test` does the oldest.
test-kernels: deps
	@deploy/install-deps.sh kernels
	@tests/run.sh kernels

asan: deps
	@$(MAKE) --no-print-directory O=$(O)-asan SAN=1 unit all

demo: deps
	@$(MAKE) --no-print-directory all
	@tests/demo.sh $(O)

bench: deps
	@$(MAKE) --no-print-directory all
	@bench/run.sh $(O)

# The ledger with 10 M rows: ten minutes, 4 GB.
bench-ledger: all
	@bench/ledger.sh $(O)

install: all
	install -D -m 755 $(O)/purse $(DESTDIR)$(PREFIX)/bin/purse
	install -D -m 755 $(O)/pursed $(DESTDIR)$(PREFIX)/sbin/pursed
	install -D -m 644 deploy/prices.yaml $(DESTDIR)$(PREFIX)/share/purse/prices.yaml

clean:
	rm -rf $(O) $(O)-asan $(O)-fuzz

-include $(shell find $(O) -name '*.d' 2>/dev/null)
