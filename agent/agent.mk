# SPDX-License-Identifier: GPL-2.0-only
#
# hcivold and agentctl; included by the top Makefile, run from the top of the
# tree.
#
#   make agent     build/bin/hcivold
#   make tools     build/bin/agentctl (and what else the tools' makefiles add)

BUILD		?= build
AGENT_CC	?= gcc
AGENT_OBJ	:= $(BUILD)/agent-obj
# Name of pkg-config, and the package of Debian that has it.
AGENT_DEBS	:= blkid:libblkid-dev json-c:libjson-c-dev \
		   libcurl:libcurl4-openssl-dev libmnl:libmnl-dev \
		   libuv:libuv1-dev sqlite3:libsqlite3-dev uuid:uuid-dev
AGENT_PKGS	:= $(foreach one,$(AGENT_DEBS),$(firstword $(subst :, ,$(one))))
# Texts for people are cut to their buffers on purpose.
AGENT_WARN	:= -Wall -Wextra -Wmissing-prototypes -Wstrict-prototypes \
		   -Wno-format-truncation
AGENT_CFLAGS	?= -O2 -g
AGENT_FLAGS	= -std=gnu11 $(AGENT_WARN) -D_GNU_SOURCE -MMD -MP \
		  -Iagent -Iuapi -Itools/lib $(AGENT_PKG_CFLAGS)
AGENT_PKG_CFLAGS := $(shell pkg-config --cflags $(AGENT_PKGS) 2>/dev/null)
AGENT_PKG_LIBS	:= $(shell pkg-config --libs $(AGENT_PKGS) 2>/dev/null)
# The media format is the module's own code; the shim gives it a surrounding.
AGENT_FMT_FLAGS	:= -Ikernel/core -Iselftests/unit/shim

AGENT_SRC := \
	agent/api.c \
	agent/cluster_status.c \
	agent/cmd_cluster.c \
	agent/cmd_misc.c \
	agent/cmd_node.c \
	agent/cmd_recovery.c \
	agent/cmd_scrub.c \
	agent/cmd_store.c \
	agent/core/elect.c \
	agent/core/health.c \
	agent/core/health_key.c \
	agent/core/jobplan.c \
	agent/core/json.c \
	agent/core/latency.c \
	agent/core/model.c \
	agent/core/model_job.c \
	agent/core/model_rows.c \
	agent/core/nvme_names.c \
	agent/core/placement.c \
	$(filter-out %_test.c,$(sort $(wildcard agent/core/recplan*.c))) \
	agent/core/record.c \
	agent/core/record_temp.c \
	agent/core/request.c \
	agent/core/scrubplan.c \
	agent/core/smart.c \
	agent/core/storeplan.c \
	agent/core/throttle.c \
	agent/core/throttle_conf.c \
	agent/core/throttle_hw.c \
	agent/core/throttle_share.c \
	$(filter-out %_test.c,$(sort $(wildcard agent/core/vol*.c))) \
	agent/crash.c \
	agent/devlinks.c \
	agent/events.c \
	agent/fault.c \
	agent/health_watch.c \
	agent/hwprobe.c \
	agent/identity.c \
	agent/iostat.c \
	agent/jobs.c \
	agent/klink.c \
	agent/klink_store.c \
	agent/klink_vol.c \
	agent/loop.c \
	agent/lowerdev.c \
	agent/main.c \
	agent/member.c \
	agent/node_load.c \
	agent/place.c \
	agent/planner.c \
	agent/scrub.c \
	agent/slow.c \
	agent/snap.c \
	agent/state.c \
	agent/sync_limit.c \
	agent/util.c \
	kernel/core/format.c \
	tools/lib/hcv_crc32c.c \
	tools/lib/hcv_dev.c \
	tools/lib/hcv_mkfs.c

# Rooms of several files: the metadata store, NVMe, both reconcilers.
AGENT_SRC += $(filter-out %_test.c agent/meta_test%,$(sort $(wildcard agent/meta*.c \
		       agent/owner_*.c agent/target_*.c agent/cmd_volume*.c)))
AGENT_SRC += agent/nvme_host.c agent/nvme_target.c

AGENTCTL_SRC := \
	agent/core/elect.c \
	agent/core/json.c \
	agent/core/model.c \
	agent/core/record.c \
	agent/core/record_temp.c \
	agent/core/request.c \
	tools/agentctl/args.c \
	tools/agentctl/client.c \
	tools/agentctl/cluster.c \
	tools/agentctl/events.c \
	tools/agentctl/help.c \
	tools/agentctl/main.c \
	tools/agentctl/node.c \
	tools/agentctl/out.c \
	tools/agentctl/recovery.c \
	tools/agentctl/scrub.c \
	tools/agentctl/size.c \
	tools/agentctl/store.c \
	tools/agentctl/tables.c \
	tools/agentctl/version.c \
	tools/agentctl/volume.c

AGENT_O		= $(patsubst %.c,$(AGENT_OBJ)/%.o,$(1))

.PHONY: agent agentctl nvme-tool tools

agent: $(BUILD)/bin/hcivold ## build the agent, build/bin/hcivold

agentctl: $(BUILD)/bin/agentctl ## build build/bin/agentctl

# The agent's NVMe code from a shell, for tests only.
nvme-tool: $(BUILD)/bin/hcv-nvme-tool ## build the agent's NVMe code as a program, for tests

tools: agentctl inspect nvme-tool ## build agentctl and hcivol-inspect in build/bin

$(BUILD)/bin/hcivold: $(call AGENT_O,$(AGENT_SRC))
	@mkdir -p $(@D)
	$(if $(filter 1,$(V)),,@echo "  LD      $@";) $(AGENT_CC) $(AGENT_CFLAGS) \
		$(AGENT_LDFLAGS) -o $@ $^ $(AGENT_PKG_LIBS) -lpthread

$(BUILD)/bin/hcv-nvme-tool: $(call AGENT_O,agent/nvme_tool.c \
		$(filter-out agent/main.c,$(AGENT_SRC)))
	@mkdir -p $(@D)
	$(if $(filter 1,$(V)),,@echo "  LD      $@";) $(AGENT_CC) $(AGENT_CFLAGS) \
		$(AGENT_LDFLAGS) -o $@ $^ $(AGENT_PKG_LIBS) -lpthread

$(BUILD)/bin/agentctl: $(call AGENT_O,$(AGENTCTL_SRC))
	@mkdir -p $(@D)
	$(if $(filter 1,$(V)),,@echo "  LD      $@";) $(AGENT_CC) $(AGENT_CFLAGS) \
		$(AGENT_LDFLAGS) -o $@ $^ $(shell pkg-config --libs json-c)

$(AGENT_OBJ)/agent/lowerdev.o $(AGENT_OBJ)/kernel/core/format.o \
	$(AGENT_OBJ)/tools/lib/%.o: AGENT_FLAGS += $(AGENT_FMT_FLAGS)

$(AGENT_OBJ)/%.o: %.c | agent-packages
	@mkdir -p $(@D)
	$(if $(filter 1,$(V)),,@echo "  CC      $<";) $(AGENT_CC) $(AGENT_CFLAGS) \
		$(AGENT_FLAGS) -c $< -o $@

# One sentence instead of a hundred missing headers.
.PHONY: agent-packages
agent-packages:
	@command -v pkg-config > /dev/null || { \
		echo "make: pkg-config is missing: run 'make deps', or install the package pkg-config" >&2; \
		exit 1; }
	@lack=; for one in $(AGENT_DEBS); do \
		pkg-config --exists "$${one%%:*}" || lack="$$lack $${one#*:}"; \
	done; [ -z "$$lack" ] || { \
		echo "make: header files of libraries are missing: run 'make deps', or install the packages$$lack" >&2; \
		exit 1; }

-include $(shell find $(AGENT_OBJ) -name '*.d' 2>/dev/null)

# The command-line fuzzer of selftests/unit/fuzz needs agentctl's tables.
build/unit/fuzz/fuzz_cli: $(patsubst %.c,build/unit/fuzz/obj/%.o,\
	$(filter tools/agentctl/%,$(filter-out %/main.c,$(AGENTCTL_SRC))))
