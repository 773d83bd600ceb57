# SPDX-License-Identifier: GPL-2.0-only
#
# hcivol-inspect; included by the top Makefile, run from the top of the tree.
# Needs libblkid-dev, libjson-c-dev, uuid-dev.

BUILD		?= build
INSPECT_CFLAGS	:= -std=gnu11 -O2 -g -Wall -Wextra -Wno-sign-compare \
		   -Wno-unused-parameter -D_GNU_SOURCE -MMD -MP \
		   -Iuapi -Ikernel/core -Iselftests/unit/shim -Itools/lib
INSPECT_LIBS	:= -ljson-c -lblkid -luuid
# What the agent links too, to format a store.
MKFS_SRC	:= kernel/core/format.c tools/lib/hcv_crc32c.c \
		   tools/lib/hcv_dev.c tools/lib/hcv_mkfs.c
INSPECT_SRC	:= $(MKFS_SRC) \
		   kernel/core/sparse.c \
		   tools/hcivol-inspect/check.c \
		   tools/hcivol-inspect/main.c \
		   tools/hcivol-inspect/mkfs.c \
		   tools/hcivol-inspect/out.c \
		   tools/hcivol-inspect/pair.c \
		   tools/hcivol-inspect/read.c \
		   tools/hcivol-inspect/show.c \
		   tools/hcivol-inspect/store.c \
		   tools/hcivol-inspect/volume.c \
		   tools/lib/hcv_dump.c
INSPECT_OBJ	:= $(patsubst %.c,$(BUILD)/inspect/%.o,$(INSPECT_SRC))

# Test images for selftests/cli/inspect.sh.
HCV_IMAGE_OBJ	:= $(patsubst %.c,$(BUILD)/inspect/%.o,selftests/cli/image.c \
		   kernel/core/format.c tools/lib/hcv_crc32c.c \
		   tools/lib/hcv_dev.c tools/lib/hcv_dump.c)

.PHONY: inspect tools
tools: inspect

inspect: ## build build/bin/hcivol-inspect, which reads stores offline
inspect: $(BUILD)/bin/hcivol-inspect $(BUILD)/inspect/hcv-image

$(BUILD)/inspect/hcv-image: $(HCV_IMAGE_OBJ)
	$(if $(filter 1,$(V)),,@echo "  LD      $@";) $(CC) $(LDFLAGS) -o $@ $^

$(BUILD)/bin/hcivol-inspect: $(INSPECT_OBJ)
	@mkdir -p $(@D)
	$(if $(filter 1,$(V)),,@echo "  LD      $@";) $(CC) $(LDFLAGS) -o $@ $^ $(INSPECT_LIBS)

$(BUILD)/inspect/%.o: %.c | agent-packages
	@mkdir -p $(@D)
	$(if $(filter 1,$(V)),,@echo "  CC      $<";) $(CC) $(CFLAGS) $(INSPECT_CFLAGS) -c $< -o $@

-include $(INSPECT_OBJ:.o=.d) $(HCV_IMAGE_OBJ:.o=.d)
