# SPDX-License-Identifier: GPL-2.0-only
#
# Host builds of the pure code, its tests and its fuzzers; included by the
# top Makefile, run from the top of the tree.
#
#   make unit [UNIT=name]  all tests, or those of .../name_test.c
#   make unit-long [SIM_LIVES=64] [SIM_SEED=0]  the property test of the map, a million steps
#   make fuzz [FUZZ_TIME=60] [FUZZ=name]
#
# Every kernel/core/X.c and agent/core/X.c is built; X_test.c beside it becomes
# a program of its own.  A test is found by its name, so that none is
# forgotten.  Libraries that agent/core/X_test.c needs beyond json-c go into
# UNIT_LIBS_X, flags into UNIT_CFLAGS_X.

BUILD		?= build
UNIT_OUT	:= $(BUILD)/unit
UNIT_DIR	:= selftests/unit
UNIT_CC		?= gcc
UNIT_SAN	?= -fsanitize=address,undefined -fno-sanitize-recover=undefined
FUZZ_CC		?= clang
FUZZ_TIME	?= 60

UNIT_WARN	:= -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare \
		   -Wno-missing-field-initializers
UNIT_CFLAGS	:= -std=gnu11 -O1 -g -fno-omit-frame-pointer -MMD -MP \
		   $(UNIT_WARN) -D_GNU_SOURCE
# The code of the kernel sees the shim's linux/ headers, that of user space
# the system's.
UNIT_INC_USER	:= -Iuapi -I$(UNIT_DIR)/shim
UNIT_INC_KERNEL	:= $(UNIT_INC_USER) -I$(UNIT_DIR)/shim/inc -Ikernel/core \
		   -include $(UNIT_DIR)/shim/inc/hcv_shim_all.h
UNIT_INC_AGENT	:= $(UNIT_INC_USER) -Ikernel/core -Iagent -Iagent/core \
		   $(shell pkg-config --cflags json-c 2>/dev/null)
UNIT_LIBS_AGENT	:= $(shell pkg-config --libs json-c 2>/dev/null || echo -ljson-c)

UNIT_LIBS_healthsim := -lm
UNIT_CFLAGS_healthsim_test := -O2

UNIT_K_ALL	:= $(sort $(wildcard kernel/core/*.c))
UNIT_K_TEST	:= $(filter %_test.c,$(UNIT_K_ALL))
UNIT_K_SRC	:= $(filter-out %_test.c,$(UNIT_K_ALL))
UNIT_A_ALL	:= $(sort $(wildcard agent/core/*.c))
UNIT_A_TEST	:= $(filter %_test.c,$(UNIT_A_ALL))
UNIT_A_SRC	:= $(filter-out %_test.c,$(UNIT_A_ALL))
UNIT_SHIM_SRC	:= $(UNIT_DIR)/shim/hcv_shim.c $(UNIT_DIR)/shim/kunit/runner.c \
		   tools/lib/hcv_crc32c.c
# Tests of user space code that lies elsewhere.
UNIT_H_TEST	:= $(sort $(wildcard $(UNIT_DIR)/*_test.c))
UNIT_H_SRC	:= $(sort $(wildcard tools/lib/hcv_dump.c tools/lib/hcv_mkfs.c \
		   agent/owner_job.c agent/place.c agent/planner.c agent/snap.c \
		   agent/sync_limit.c))
UNIT_CFLAGS_recovery_test := -Iagent $(shell pkg-config --cflags json-c 2>/dev/null)
UNIT_CFLAGS_sync_limit_test := -Iagent $(shell pkg-config --cflags json-c 2>/dev/null)

# The checker of clusters' histories, with its tests beside it.
UNIT_C_DIR	:= selftests/lib/checker
UNIT_C_TEST	:= $(sort $(wildcard $(UNIT_C_DIR)/*_test.c))
UNIT_C_SRC	:= $(addprefix $(UNIT_C_DIR)/,history.c log.c order.c stamp.c)

UNIT_O		= $(patsubst %.c,$(UNIT_OUT)/obj/%.o,$(1))
UNIT_PROG_K	:= $(patsubst %.c,$(UNIT_OUT)/%,$(UNIT_K_TEST))
UNIT_PROG_A	:= $(patsubst %.c,$(UNIT_OUT)/%,$(UNIT_A_TEST))
UNIT_PROG_H	:= $(patsubst %.c,$(UNIT_OUT)/%,$(UNIT_H_TEST))
UNIT_PROG_C	:= $(patsubst %.c,$(UNIT_OUT)/%,$(UNIT_C_TEST))
UNIT_PROGS	:= $(UNIT_PROG_K) $(UNIT_PROG_A) $(UNIT_PROG_H) $(UNIT_PROG_C)
ifneq ($(UNIT),)
UNIT_PROGS	:= $(filter %/$(UNIT)_test,$(UNIT_PROGS))
endif

.SECONDARY:
.PHONY: unit unit-long unit-build fuzz fuzz-build golden

##@ Unit tests
unit: unit-build ## pure code on the host under ASan and UBSan (UNIT=name)
	@$(UNIT_DIR)/run $(wildcard $(UNIT_DIR)/check-format-doc) $(UNIT_PROGS)

# A life is 2,000 steps, and each of eight seeds has SIM_LIVES of them.
SIM_LIVES	?= 64
SIM_SEED	?= 0
UNIT_SIM	:= $(UNIT_OUT)/kernel/core/map_sim_test
unit-long: $(UNIT_SIM) ## the extent map beside its model, a million steps (SIM_LIVES=64, SIM_SEED=0)
	@HCV_SIM_LIVES=$(SIM_LIVES) HCV_SIM_SEED=$(SIM_SEED) \
		HCV_UNIT_TIMEOUT=$$((60 + 5 * $(SIM_LIVES))) \
		$(UNIT_DIR)/run $(UNIT_SIM)

unit-build: $(UNIT_PROGS)

$(UNIT_OUT)/libkcore.a: $(call UNIT_O,$(UNIT_K_SRC))
$(UNIT_OUT)/libacore.a: $(call UNIT_O,$(UNIT_A_SRC))
$(UNIT_OUT)/libhost.a: $(call UNIT_O,$(UNIT_H_SRC))
$(UNIT_OUT)/libchecker.a: $(call UNIT_O,$(UNIT_C_SRC))
$(UNIT_OUT)/lib%.a:
	@mkdir -p $(@D)
	@rm -f $@
	$(if $(filter 1,$(V)),,@echo "  AR      $@";) ar rcs $@ $^

$(UNIT_OUT)/obj/kernel/%.o: kernel/%.c
	@mkdir -p $(@D)
	$(if $(filter 1,$(V)),,@echo "  UNITCC  $<";) $(UNIT_CC) $(UNIT_CFLAGS) $(UNIT_SAN) \
		$(UNIT_CFLAGS_$(*F)) $(UNIT_INC_KERNEL) -c $< -o $@

$(UNIT_OUT)/obj/$(UNIT_DIR)/shim/%.o: $(UNIT_DIR)/shim/%.c
	@mkdir -p $(@D)
	$(if $(filter 1,$(V)),,@echo "  UNITCC  $<";) $(UNIT_CC) $(UNIT_CFLAGS) $(UNIT_SAN) \
		$(UNIT_INC_KERNEL) -c $< -o $@

$(UNIT_OUT)/obj/agent/%.o: agent/%.c
	@mkdir -p $(@D)
	$(if $(filter 1,$(V)),,@echo "  UNITCC  $<";) $(UNIT_CC) $(UNIT_CFLAGS) $(UNIT_SAN) \
		$(UNIT_CFLAGS_$(*F)) $(UNIT_INC_AGENT) -c $< -o $@

$(UNIT_OUT)/obj/tools/%.o: tools/%.c
	@mkdir -p $(@D)
	$(if $(filter 1,$(V)),,@echo "  UNITCC  $<";) $(UNIT_CC) $(UNIT_CFLAGS) $(UNIT_SAN) \
		$(UNIT_INC_USER) -Ikernel/core -Itools/lib -c $< -o $@

$(UNIT_OUT)/obj/$(UNIT_DIR)/%.o: $(UNIT_DIR)/%.c
	@mkdir -p $(@D)
	$(if $(filter 1,$(V)),,@echo "  UNITCC  $<";) $(UNIT_CC) $(UNIT_CFLAGS) $(UNIT_SAN) \
		$(UNIT_CFLAGS_$(*F)) $(UNIT_INC_USER) -Ikernel/core -Itools/lib -c $< -o $@

$(UNIT_OUT)/obj/$(UNIT_C_DIR)/%.o: $(UNIT_C_DIR)/%.c
	@mkdir -p $(@D)
	$(if $(filter 1,$(V)),,@echo "  UNITCC  $<";) $(UNIT_CC) $(UNIT_CFLAGS) $(UNIT_SAN) \
		$(UNIT_INC_USER) -c $< -o $@

UNIT_LINK = @mkdir -p $(@D); $(if $(filter 1,$(V)),,echo "  UNITLD  $@";) \
	$(UNIT_CC) $(UNIT_SAN) -o $@ $^

$(UNIT_PROG_K): $(UNIT_OUT)/%: $(UNIT_OUT)/obj/%.o \
		$(call UNIT_O,$(UNIT_SHIM_SRC)) $(UNIT_OUT)/libkcore.a
	$(UNIT_LINK) -lpthread

$(UNIT_PROG_A): $(UNIT_OUT)/%: $(UNIT_OUT)/obj/%.o \
		$(call UNIT_O,$(UNIT_SHIM_SRC)) $(UNIT_OUT)/libacore.a \
		$(UNIT_OUT)/libkcore.a
	$(UNIT_LINK) -lpthread $(UNIT_LIBS_AGENT) \
		$(UNIT_LIBS_$(patsubst %_test,%,$(@F)))

$(UNIT_PROG_H): $(UNIT_OUT)/%: $(UNIT_OUT)/obj/%.o \
		$(call UNIT_O,$(UNIT_SHIM_SRC)) $(UNIT_OUT)/libhost.a \
		$(UNIT_OUT)/libacore.a $(UNIT_OUT)/libkcore.a
	$(UNIT_LINK) -lpthread -lblkid $(UNIT_LIBS_AGENT)

$(UNIT_PROG_C): $(UNIT_OUT)/%: $(UNIT_OUT)/obj/%.o \
		$(call UNIT_O,$(UNIT_SHIM_SRC)) $(UNIT_OUT)/libchecker.a
	$(UNIT_LINK) -lpthread

# The same tests inside a kernel, see kunit.sh.
.PHONY: kunit
kunit: ## build build/KVER/hcv_kunit.ko, tests for a kernel with KUnit (KVER=debug)
	$(if $(filter 1,$(V)),,@)mkdir -p $(BUILD)/$(KVER)/kunit
	$(if $(filter 1,$(V)),,@)rsync -a $(UNIT_DIR)/kunit/ uapi kernel/core \
		$(BUILD)/$(KVER)/kunit/
	$(if $(filter 1,$(V)),,@)$(MAKE) -s -C $(KDIR) \
		M=$(abspath $(BUILD)/$(KVER)/kunit) W=1 modules
	$(if $(filter 1,$(V)),,@)cp $(BUILD)/$(KVER)/kunit/hcv_kunit.ko \
		$(BUILD)/$(KVER)/

# Missing golden images are written, those that exist never change.
golden: ## write missing golden images of the media format
golden: $(UNIT_OUT)/$(UNIT_DIR)/golden_test
	@HCV_GOLDEN_WRITE=1 $<

# Fuzzers: fuzz/fuzz_X.c with everything pure, instrumented.
FUZZ_OUT	:= $(UNIT_OUT)/fuzz
FUZZ_SAN	:= -fsanitize=address,undefined,fuzzer-no-link \
		   -fno-sanitize-recover=undefined
FUZZ_SRC	:= $(sort $(wildcard $(UNIT_DIR)/fuzz/fuzz_*.c))
FUZZ_PROGS	:= $(patsubst $(UNIT_DIR)/fuzz/%.c,$(FUZZ_OUT)/%,$(FUZZ_SRC))
ifneq ($(FUZZ),)
FUZZ_PROGS	:= $(filter %/fuzz_$(FUZZ),$(FUZZ_PROGS))
endif
FUZZ_O		= $(patsubst %.c,$(FUZZ_OUT)/obj/%.o,$(1))
FUZZ_OBJ	:= $(call FUZZ_O,$(UNIT_K_SRC) $(UNIT_A_SRC) \
		   $(UNIT_DIR)/shim/hcv_shim.c tools/lib/hcv_crc32c.c)

fuzz: fuzz-build ## every parser under libFuzzer (FUZZ_TIME=60 s each, FUZZ=name)
	@FUZZ_TIME=$(FUZZ_TIME) $(UNIT_DIR)/fuzz/run $(FUZZ_OUT) $(FUZZ_PROGS)

fuzz-build: $(FUZZ_PROGS)

$(FUZZ_OUT)/libcore.a: $(FUZZ_OBJ)
	@mkdir -p $(@D)
	@rm -f $@
	$(if $(filter 1,$(V)),,@echo "  AR      $@";) ar rcs $@ $^

$(FUZZ_OUT)/obj/kernel/%.o $(FUZZ_OUT)/obj/$(UNIT_DIR)/shim/%.o \
$(FUZZ_OUT)/obj/$(UNIT_DIR)/fuzz/fuzz_map.o: \
		FUZZ_INC = $(UNIT_INC_KERNEL)
$(FUZZ_OUT)/obj/agent/%.o: FUZZ_INC = $(UNIT_INC_AGENT)
$(FUZZ_OUT)/obj/%.o: FUZZ_INC = $(UNIT_INC_AGENT) -Itools/lib

$(FUZZ_OUT)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(if $(filter 1,$(V)),,@echo "  FUZZCC  $<";) $(FUZZ_CC) $(UNIT_CFLAGS) $(FUZZ_SAN) \
		$(UNIT_CFLAGS_$(*F)) $(FUZZ_INC) -c $< -o $@

$(FUZZ_OUT)/fuzz_%: $(FUZZ_OUT)/obj/$(UNIT_DIR)/fuzz/fuzz_%.o \
		$(FUZZ_OUT)/libcore.a
	$(if $(filter 1,$(V)),,@echo "  FUZZLD  $@";) $(FUZZ_CC) -fsanitize=address,undefined,fuzzer \
		-o $@ $^ -lpthread $(UNIT_LIBS_AGENT) $(UNIT_LIBS_fuzz_$*)

-include $(shell find $(UNIT_OUT)/obj $(UNIT_OUT)/fuzz/obj -name '*.d' 2>/dev/null)
