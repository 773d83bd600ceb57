// SPDX-License-Identifier: GPL-2.0-only
/*
 * hcv-nvme-tool: the agent's NVMe code from a shell, for tests only.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent.h"
#include "core/nvme_names.h"
#include "nvme_host.h"
#include "nvme_target.h"

static int64_t until(void)
{
	const char *ms = getenv("HCV_LIMIT_MS");

	return hcv_now_ms() + (ms ? atoi(ms) : 20000);
}

static int do_ensure(char **arg, char *err)
{
	struct hcv_nvmet_addr at = { arg[0], arg[1],
				     (unsigned int)atoi(arg[2]) };

	return hcv_nvmet_ensure(&at, arg[3], arg[4], arg[5], until(), err);
}

static int do_remove(char **arg, char *err)
{
	return hcv_nvmet_remove(arg[0], arg[1], until(), err);
}

static int do_targets(char **arg, char *err)
{
	struct hcv_nvmet_subsys *s;
	size_t i, nr;
	int ret = hcv_nvmet_list(&s, &nr, err);

	(void)arg;
	for (i = 0; !ret && i < nr; i++)
		printf("%s %s\n", s[i].store, s[i].client);
	free(s);
	return ret;
}

static int do_connect(char **arg, char *err)
{
	struct hcv_nvme_conn c = {
		.transport = arg[0], .addr = arg[1],
		.port = (unsigned int)atoi(arg[2]), .store = arg[3],
		.client = arg[4], .slow = !strcmp(arg[5], "hdd"),
	};
	char dev[HCV_NVME_DEV_LEN];
	int ret = hcv_nvme_connect(&c, dev, until(), err);

	if (!ret)
		puts(dev);
	return ret;
}

static int do_disconnect(char **arg, char *err)
{
	return hcv_nvme_disconnect(arg[0], arg[1], !strcmp(arg[2], "failed"),
				   until(), err);
}

static int do_list(char **arg, char *err)
{
	struct hcv_nvme_ctrl *c;
	size_t i, nr;
	int ret = hcv_nvme_list(arg[0], &c, &nr, err);

	for (i = 0; !ret && i < nr; i++)
		printf("%s %s %s %s %s\n", c[i].name, c[i].store,
		       hcv_nvme_state_name(c[i].state), c[i].transport,
		       c[i].address);
	free(c);
	return ret;
}

/* Both sides, so that the module can be unloaded after a test. */
static int do_clear(char **arg, char *err)
{
	struct hcv_nvmet_subsys *s;
	struct hcv_nvme_ctrl *c;
	size_t i, nr;
	int ret;

	(void)arg;
	ret = hcv_nvme_list(NULL, &c, &nr, err);
	for (i = 0; !ret && i < nr; i++)
		ret = hcv_nvme_disconnect(c[i].store, c[i].client, false,
					  until(), err);
	free(c);
	if (ret)
		return ret;
	ret = hcv_nvmet_list(&s, &nr, err);
	for (i = 0; !ret && i < nr; i++)
		ret = hcv_nvmet_remove(s[i].store, s[i].client, until(), err);
	free(s);
	return ret;
}

static int do_names(char **arg, char *err)
{
	char nqn[HCV_NQN_LEN], host[HCV_NQN_LEN], uuid[HCV_ID_LEN];
	char serial[HCV_SERIAL_LEN];

	err[0] = '\0';
	hcv_nvme_subnqn(arg[0], arg[1], nqn);
	hcv_nvme_hostnqn(arg[1], host);
	hcv_nvme_serial(arg[0], serial);
	hcv_nvme_nsuuid(arg[0], arg[1], uuid);
	printf("%s %s %s %s\n", nqn, host, serial, uuid);
	return 0;
}

static const struct {
	const char *name;
	int nr_args;
	const char *args;
	int (*fn)(char **arg, char *err);
} command[] = {
	{ "target-ensure", 6, "TRANSPORT ADDR PORT STORE CLIENT DEV",
	  do_ensure },
	{ "target-remove", 2, "STORE CLIENT", do_remove },
	{ "target-list", 0, "", do_targets },
	{ "connect", 6, "TRANSPORT ADDR PORT STORE CLIENT ssd|hdd",
	  do_connect },
	{ "disconnect", 3, "STORE CLIENT failed|idle", do_disconnect },
	{ "list", 1, "CLIENT", do_list },
	{ "clear", 0, "", do_clear },
	{ "names", 2, "STORE CLIENT", do_names },
};

#define NR_COMMANDS (sizeof(command) / sizeof(command[0]))

static int usage(void)
{
	size_t i;

	for (i = 0; i < NR_COMMANDS; i++)
		fprintf(stderr, "usage: hcv-nvme-tool %s %s\n", command[i].name,
			command[i].args);
	fprintf(stderr, "       hcv-nvme-tool crash-points\n"
		"HCV_LIMIT_MS=N limits a command, HCV_CRASH=POINT:N kills it\n");
	return 2;
}

int main(int argc, char **argv)
{
	const char *crash = getenv("HCV_CRASH");
	char err[HCV_ERR_SIZE] = "";
	size_t i;
	int ret;

	if (argc == 2 && !strcmp(argv[1], "crash-points")) {
		hcv_crash_list();
		return 0;
	}
	if (crash && hcv_crash_arm(crash)) {
		fprintf(stderr, "no crash point %s\n", crash);
		return 2;
	}
	for (i = 0; argc > 1 && i < NR_COMMANDS; i++) {
		if (strcmp(argv[1], command[i].name) ||
		    argc - 2 != command[i].nr_args)
			continue;
		ret = command[i].fn(argv + 2, err);
		if (ret)
			fprintf(stderr, "%s: %s\n", strerror(-ret), err);
		return ret ? 1 : 0;
	}
	return usage();
}
