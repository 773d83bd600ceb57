# SPDX-License-Identifier: GPL-2.0-only
#
# Release tarball and installation; included by the top Makefile, run from the
# top of the tree.
#
#   make dist                        build/hcivol-VERSION.tar.gz
#   make install [PREFIX=/usr] [DESTDIR=/tmp/root]
#
# The module comes by dkms: its sources go below /usr/src, where dkms wants
# them, whatever PREFIX is.

PREFIX		?= /usr/local
DESTDIR		?=
SBINDIR		?= $(PREFIX)/sbin
MANDIR		?= $(PREFIX)/share/man
COMPLETIONDIR	?= $(PREFIX)/share/bash-completion/completions
UDEVRULESDIR	?= $(PREFIX)/lib/udev/rules.d
UNITDIR		?= $(PREFIX)/lib/systemd/system
DKMSDIR		?= /usr/src

INSTALL_DKMS	:= $(DESTDIR)$(DKMSDIR)/hcivol-$(HCV_RELEASE)
INSTALL_BINS	:= hcivold agentctl hcivol-inspect

##@ Release
.PHONY: dist install install-dkms uninstall

dist: ## release tarball of the last commit, build/hcivol-VERSION.tar.gz
	@git rev-parse -q --verify HEAD > /dev/null 2>&1 || { \
	  echo "make: 'dist' packs a git commit: run it in a clone (package git)" >&2; exit 1; }
	@git diff --quiet HEAD || \
	  echo "make: what is not committed is not in the tarball" >&2
	@mkdir -p $(BUILD)
	$(Q)git archive --format=tar --prefix=hcivol-$(HCV_RELEASE)/ HEAD | \
	  gzip -n9 > $(BUILD)/hcivol-$(HCV_RELEASE).tar.gz
	@echo $(BUILD)/hcivol-$(HCV_RELEASE).tar.gz

install: agent tools install-dkms ## programs, man pages, completion, udev rules, unit, dkms source (PREFIX, DESTDIR)
	$(Q)install -d $(DESTDIR)$(SBINDIR) $(DESTDIR)$(MANDIR)/man8 \
	  $(DESTDIR)$(COMPLETIONDIR) $(DESTDIR)$(UDEVRULESDIR) \
	  $(DESTDIR)$(UNITDIR)
	$(Q)install -m 755 $(INSTALL_BINS:%=$(BUILD)/bin/%) $(DESTDIR)$(SBINDIR)
	$(Q)install -m 644 $(INSTALL_BINS:%=docs/man/%.8) $(DESTDIR)$(MANDIR)/man8
	$(Q)install -m 644 tools/completion/agentctl.bash \
	  $(DESTDIR)$(COMPLETIONDIR)/agentctl
	$(Q)install -m 644 tools/completion/hcivol-inspect.bash \
	  $(DESTDIR)$(COMPLETIONDIR)/hcivol-inspect
	$(Q)install -m 644 tools/udev/60-hcivol.rules $(DESTDIR)$(UDEVRULESDIR)
	$(Q)sed 's,/usr/sbin/hcivold,$(SBINDIR)/hcivold,' agent/hcivold.service \
	  > $(DESTDIR)$(UNITDIR)/hcivold.service
	$(Q)chmod 644 $(DESTDIR)$(UNITDIR)/hcivold.service
	@echo "installed hcivol $(HCV_RELEASE); the module: dkms install hcivol/$(HCV_RELEASE)"

install-dkms: ## only the module's source tree for dkms, below /usr/src
	$(Q)rm -rf $(INSTALL_DKMS)
	$(Q)install -d $(INSTALL_DKMS)
	$(Q)cp -R Kbuild dkms.conf kernel uapi $(INSTALL_DKMS)
	$(Q)find $(INSTALL_DKMS) -name '*_test.[ch]' -delete

uninstall: ## remove what install put there, but for a module that dkms built
	$(Q)rm -f $(INSTALL_BINS:%=$(DESTDIR)$(SBINDIR)/%) \
	  $(INSTALL_BINS:%=$(DESTDIR)$(MANDIR)/man8/%.8) \
	  $(DESTDIR)$(COMPLETIONDIR)/agentctl \
	  $(DESTDIR)$(COMPLETIONDIR)/hcivol-inspect \
	  $(DESTDIR)$(UDEVRULESDIR)/60-hcivol.rules \
	  $(DESTDIR)$(UNITDIR)/hcivold.service
	$(Q)rm -rf $(INSTALL_DKMS)
