# SPDX-License-Identifier: GPL-2.0-only
#
# The entry for people.  Kbuild describes the module to the kernel's build.

ifneq ($(KERNELRELEASE),)
include $(src)/Kbuild
else

SHELL := /bin/bash
BUILD ?= build
KVER ?= 6.1
ROUNDS ?= 1000
V ?= 0
Q := $(if $(filter 1,$(V)),,@)
HCV_CACHE ?= $(HOME)/.cache/hcivol
export HCV_CACHE
HCV_RELEASE := $(shell sed -n 's/.*HCV_VERSION "\(.*\)"/\1/p' kernel/version.h)

# KDIR, when given, is used as it is; else the headers come with tools/dev/deps.
KDIR ?= $(shell tools/dev/kernel-path $(KVER) kdir 2>/dev/null)
SPARSE ?= $(if $(shell command -v sparse),1,0)

.DEFAULT_GOAL := all

.PHONY: all
all: modules agent tools

##@ Main
.PHONY: help
help: ## explain every target
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-zA-Z0-9_-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' \
	  $(MAKEFILE_LIST)
	@printf '\nVariables: KVER=6.1|6.12|debug (%s)  KDIR=%s  BUILD=%s  V=1\n' \
	  '$(KVER)' '$(KDIR)' '$(BUILD)'

.PHONY: deps
deps: ## install what building and testing needs (Debian packages, as root)
	$(Q)tools/dev/deps

.PHONY: demo
demo: ## boot three nodes, use a replicated volume, kill one of them
	$(Q)tools/dev/deps
	$(Q)$(MAKE) --no-print-directory KVER=6.1 modules agent tools
	$(Q)tools/demo/demo

.PHONY: check
check: ## all fast tests: everything on 6.1, a smoke set on 6.12
	$(Q)tools/dev/deps
	$(Q)tools/dev/check fast

.PHONY: check-all
check-all: ## everything on both kernels
	$(Q)tools/dev/deps
	$(Q)tools/dev/check all

.PHONY: check-debug
check-debug: ## everything on the debug kernel, sizes divided by ten
	$(Q)tools/dev/deps
	$(Q)tools/dev/debug-kernel
	$(Q)tools/dev/check debug

.PHONY: check-failures
check-failures: failures-build ## what fails while what goes on, on a cluster (KVER=, SHARE=N, SEED=N, SCENES=REGEX)
	$(Q)selftests/failures/run --kver $(KVER) $(if $(SHARE),--share $(SHARE)) \
	  $(if $(SEED),--seed $(SEED)) $(if $(SCENES),--filter '$(SCENES)')

.PHONY: reliability
ROUNDS_OF_FAILURE ?= 20
reliability: failures-build ## what failures cost, into docs/reliability.md (KVER=, ROUNDS_OF_FAILURE=20)
	$(Q)selftests/failures/reliability --kver $(KVER) --rounds $(ROUNDS_OF_FAILURE); \
	  ret=$$?; tools/dev/reliability-doc > docs/reliability.md; exit $$ret

# The debug kernel is n1's alone.
.PHONY: failures-build
failures-build:
	$(Q)tools/dev/deps
	$(Q)$(if $(filter debug,$(KVER)),tools/dev/debug-kernel)
	$(Q)$(MAKE) --no-print-directory modules agent tools
	$(Q)$(if $(filter debug,$(KVER)),$(MAKE) --no-print-directory KVER=6.12 modules)

.PHONY: soak
ifneq ($(DURATION),)
soak: failures-build
	$(Q)selftests/failures/run --kver $(KVER) --soak $(DURATION) $(if $(SEED),--seed $(SEED))
else
soak: ## 1,000 power cuts, 30 kills, all combinations (KVER=, ROUNDS=N); random failures (DURATION=seconds, SEED=N)
	$(Q)tools/dev/deps
	$(Q)$(MAKE) --no-print-directory modules agent tools
	$(Q)tools/dev/run-tests --kver $(KVER) --tag soak --resume --rounds $(ROUNDS)
endif

.PHONY: model
model: ## the protocol's model: what must hold, and the mutations it must catch
	$(Q)tools/dev/deps build
	$(Q)selftests/model/run

.PHONY: model-full
model-full: ## the same with the long configurations (an hour and more)
	$(Q)tools/dev/deps build
	$(Q)selftests/model/run --full

.PHONY: debug-kernel
debug-kernel: ## build the kernel with KASAN, lockdep, kmemleak, ... (15 min)
	$(Q)tools/dev/debug-kernel

.PHONY: bench
bench: ## instructions per I/O beside the peers, into build/bench.json
	$(Q)tools/dev/deps
	$(Q)$(MAKE) --no-print-directory KVER=6.1 modules
	$(Q)tools/bench/bench

##@ Build
.PHONY: modules
modules: ## build build/KVER/hcivol.ko (KVER=6.1, 6.12 or debug; or KDIR=...)
	$(Q)if [ -z '$(KDIR)' ] || [ ! -e '$(KDIR)/Makefile' ]; then \
	  echo "make: no kernel headers in KDIR='$(KDIR)': run 'make deps', or install the package linux-headers-amd64 and pass KDIR=/lib/modules/\$$(uname -r)/build" >&2; exit 1; fi
	$(Q)mkdir -p $(BUILD)/$(KVER)/src
	$(Q)rsync -a --delete --include='/Kbuild' --include='/kernel/***' \
	  --include='/uapi/***' --exclude='*' --filter='P *.o' --filter='P .*.cmd' \
	  --filter='P *.ko' --filter='P *.mod' --filter='P *.mod.c' \
	  --filter='P *.symvers' --filter='P *.order' ./ $(BUILD)/$(KVER)/src/
	$(Q)$(MAKE) -s -C $(KDIR) M=$(abspath $(BUILD)/$(KVER)/src) W=1 \
	  C=$(SPARSE) CHECK="sparse -Wno-unknown-attribute -Wno-flexible-array-array" modules
	$(Q)cp $(BUILD)/$(KVER)/src/hcivol.ko $(BUILD)/$(KVER)/hcivol.ko

-include agent/agent.mk
-include tools/hcivol-inspect/inspect.mk
-include selftests/unit/unit.mk
-include agent/meta_test.mk
-include tools/install.mk

endif
