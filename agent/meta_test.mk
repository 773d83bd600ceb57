# SPDX-License-Identifier: GPL-2.0-only
#
# Tests of the metadata store's back ends; included by the top Makefile after
# selftests/unit/unit.mk.  They start etcd servers of their own, on free ports
# of 127.0.0.1, from the binary that tools/dev/deps has fetched.
#
#   make unit-meta [META_TEST=part-of-a-case-name]

META_SRC	:= agent/fault.c $(wildcard agent/meta.c agent/meta_*.c)
META_TEST_SRC	:= $(filter agent/meta_test%.c,$(META_SRC))
META_OBJ	:= $(patsubst %.c,$(UNIT_OUT)/obj/%.o, \
		   $(filter-out $(META_TEST_SRC),$(META_SRC)))
META_LIBS	:= -lsqlite3 -lcurl $(UNIT_LIBS_AGENT) -lpthread
META_PROGS	:= $(patsubst agent/%.c,$(UNIT_OUT)/agent/%, \
		   $(filter-out %_lib.c %_proxy.c,$(META_TEST_SRC)))
META_HELP_OBJ	:= $(patsubst %.c,$(UNIT_OUT)/obj/%.o, \
		   $(filter %_lib.c %_proxy.c,$(META_TEST_SRC)))

.PHONY: unit-meta unit-meta-build

unit-meta: unit-meta-build ## metadata stores against SQLite and real etcd servers (META_TEST=part)
	@HCV_UNIT_TIMEOUT=600 $(UNIT_DIR)/run $(META_PROGS)

unit-meta-build: $(META_PROGS)

$(META_PROGS): $(UNIT_OUT)/%: $(UNIT_OUT)/obj/%.o $(META_OBJ) \
		$(META_HELP_OBJ) $(call UNIT_O,$(UNIT_SHIM_SRC)) \
		$(UNIT_OUT)/libacore.a
	@mkdir -p $(@D)
	$(if $(V),,@echo "  UNITLD  $@";) $(UNIT_CC) $(UNIT_SAN) -o $@ $^ \
		$(META_LIBS)
