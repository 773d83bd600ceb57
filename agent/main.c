// SPDX-License-Identifier: GPL-2.0-only
/*
 * hcivold: options, start in order, end in reverse order.
 */
#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api.h"
#include "events.h"
#include "fault.h"
#include "identity.h"
#include "jobs.h"
#include "loop.h"
#include "member.h"
#include "planner.h"
#include "owner.h"
#include "scrub.h"
#include "state.h"

#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER	57
#endif

#define HCV_STATE_DIR	"/var/lib/hcivol"
#define HCV_SOCKET	"/run/hcivol/hcivold.sock"

static const char hcv_usage[] =
"Usage: hcivold [OPTION]...\n"
"The hcivol agent: manages this node's stores and volumes.\n"
"\n"
"  --state-dir DIR        node identity, single-node metadata, events log\n"
"                         (" HCV_STATE_DIR ")\n"
"  --socket PATH          where agentctl finds the agent\n"
"                         (" HCV_SOCKET ")\n"
"  --foreground           stay attached to the terminal (always so; accepted\n"
"                         for service files)\n"
"  --debug                log more, allow debug commands on the socket\n"
"  --list-crash-points    print the places at which tests can stop the agent\n"
"  --version              print the version\n"
"  --help                 print this\n"
"\n"
"HCV_CRASH=NAME:N in the environment kills the agent at the N-th pass of crash\n"
"point NAME; HCV_HOLD=NAME:MS[,NAME:MS...] makes it wait at each pass.\n"
"HCV_HEALTH_SPEED=N makes time go N times faster for the health of stores.\n";

static int hcv_main_options(struct hcv_agent *a, int argc, char **argv)
{
	static const struct option opts[] = {
		{ "state-dir", required_argument, NULL, 'd' },
		{ "socket", required_argument, NULL, 's' },
		{ "foreground", no_argument, NULL, 'f' },
		{ "debug", no_argument, NULL, 'D' },
		{ "list-crash-points", no_argument, NULL, 'l' },
		{ "version", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 }
	};
	int c;

	snprintf(a->state_dir, sizeof(a->state_dir), "%s", HCV_STATE_DIR);
	snprintf(a->socket, sizeof(a->socket), "%s", HCV_SOCKET);
	while ((c = getopt_long(argc, argv, "", opts, NULL)) != -1) {
		switch (c) {
		case 'd':
			if (strlen(optarg) >= sizeof(a->state_dir))
				return 2;
			strcpy(a->state_dir, optarg);
			break;
		case 's':
			if (strlen(optarg) >= sizeof(a->socket))
				return 2;
			strcpy(a->socket, optarg);
			break;
		case 'f':
			break;
		case 'D':
			a->debug = true;
			break;
		case 'l':
			hcv_crash_list();
			exit(0);
		case 'v':
			puts("hcivold " HCV_AGENT_VERSION);
			exit(0);
		case 'h':
			fputs(hcv_usage, stdout);
			exit(0);
		default:
			return 2;
		}
	}
	return optind < argc ? 2 : 0;
}

/* mkdir -p of the directory; the last part for root alone if it is new */
static int hcv_main_mkdir(const char *path, mode_t mode)
{
	char part[PATH_MAX], *p;

	snprintf(part, sizeof(part), "%s", path);
	for (p = part + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		if (mkdir(part, 0755) < 0 && errno != EEXIST)
			goto bad;
		*p = '/';
	}
	if (mkdir(part, mode) < 0 && errno != EEXIST)
		goto bad;
	return 0;
bad:
	hcv_log(HCV_SEV_ERR, "%s: %s", part, strerror(errno));
	return -errno;
}

static int hcv_main_dirs(struct hcv_agent *a)
{
	char run[sizeof(a->socket)], *slash;
	int ret;

	ret = hcv_main_mkdir(a->state_dir, 0700);
	snprintf(run, sizeof(run), "%s", a->socket);
	slash = strrchr(run, '/');
	if (!ret && slash && slash != run) {
		*slash = '\0';
		ret = hcv_main_mkdir(run, 0755);
	}
	return ret;
}

/* Two agents on one state directory would fight: the lock ends with us. */
static int hcv_main_lock(struct hcv_agent *a)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/lock", a->state_dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno == EWOULDBLOCK)
			hcv_log(HCV_SEV_ERR, "another hcivold uses %s",
				a->state_dir);
		else
			hcv_log(HCV_SEV_ERR, "%s: %s", path, strerror(errno));
		return -1;
	}
	return 0;
}

/*
 * The agent may be what lets suspended I/O go on: it must not be swapped out,
 * not be killed first, and its allocations must not wait for our own volumes.
 */
static void hcv_main_protect(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, "-1000", 5) != 5)
		hcv_log(HCV_SEV_WARN, "oom_score_adj: %s", strerror(errno));
	if (fd >= 0)
		close(fd);
	if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) < 0)
		hcv_log(HCV_SEV_WARN, "mlockall: %s", strerror(errno));
	if (prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0) < 0)
		hcv_log(HCV_SEV_WARN, "PR_SET_IO_FLUSHER: %s", strerror(errno));
}

static int hcv_main_identity(struct hcv_agent *a)
{
	struct hcv_identity id;
	struct hcv_meta *meta;
	char why[HCV_ERR_SIZE];
	char *err = NULL;
	int ret;

	ret = hcv_identity_load(a, "node.json", &id, why);
	if (ret == -ENOENT) {
		hcv_log(HCV_SEV_INFO,
			"this node belongs to no cluster yet: agentctl cluster init, or join");
		return 0;
	}
	if (ret) {
		hcv_log(HCV_SEV_ERR, "%s/node.json: %s", a->state_dir, why);
		return ret;
	}
	meta = hcv_meta_open(id.meta_spec, &err);
	if (!meta) {
		hcv_log(HCV_SEV_ERR, "metadata store %s: %s", id.meta_spec,
			err ? err : "out of memory");
		free(err);
		return -EIO;
	}
	ret = hcv_identity_publish(a, &id, meta);
	if (ret) {
		hcv_meta_close(meta);
		return ret;
	}
	hcv_log(HCV_SEV_INFO, "node %s (%s) of cluster %s", id.name, id.node,
		id.cluster_name);
	/* of an init or join that was killed in its last step */
	hcv_identity_remove(a, HCV_IDENTITY_PENDING);
	return 0;
}

static int hcv_main_rooms(struct hcv_agent *a)
{
	static int (*const init[])(struct hcv_agent *a) = {
		hcv_jobs_init,
		hcv_api_init,
		hcv_state_init,
		hcv_events_init,
		hcv_member_init,
		hcv_target_init,
		hcv_owner_init,
		hcv_node_load_init,
		hcv_health_init,
		hcv_scrub_init,
		hcv_cmd_misc_init,
		hcv_cmd_cluster_init,
		hcv_cmd_node_init,
		hcv_cmd_recovery_init,
		hcv_cmd_store_init,
		hcv_cmd_volume_init,
		hcv_cmd_scrub_init,
		hcv_planner_init,
	};
	size_t i;
	int ret;

	for (i = 0; i < sizeof(init) / sizeof(init[0]); i++) {
		ret = init[i](a);
		if (ret) {
			hcv_log(HCV_SEV_ERR, "start: %s", strerror(-ret));
			return ret;
		}
	}
	return 0;
}

static int hcv_main_start(struct hcv_agent *a)
{
	if (hcv_main_rooms(a) || hcv_main_identity(a) || hcv_api_listen(a) ||
	    hcv_state_start(a) || hcv_member_start(a))
		return -1;
	/* After the threads: their stacks need not be locked in advance. */
	hcv_main_protect();
	return 0;
}

static void hcv_main_end(struct hcv_agent *a)
{
	struct hcv_meta *meta = hcv_agent_meta(a);

	hcv_api_exit(a);
	hcv_owner_exit(a);
	hcv_state_stop(a);
	hcv_member_exit(a);
	hcv_loop_exit(a);
	hcv_owner_exit(a);
	hcv_planner_exit(a);
	hcv_state_exit(a);
	hcv_events_exit(a);
	hcv_api_free(a);
	hcv_jobs_exit(a);
	if (meta)
		hcv_meta_close(meta);
	free((void *)a->id);
}

int main(int argc, char **argv)
{
	static struct hcv_agent a;
	char threads[16];
	const char *crash, *fault, *hold;
	int ret;

	ret = hcv_main_options(&a, argc, argv);
	if (ret) {
		fputs("hcivold: wrong option; see hcivold --help\n", stderr);
		return ret;
	}
	hcv_log_debug_enable(a.debug);
	crash = getenv("HCV_CRASH");
	if (crash && *crash && hcv_crash_arm(crash)) {
		hcv_log(HCV_SEV_ERR, "HCV_CRASH=%s: no such crash point", crash);
		return 2;
	}
	fault = getenv("HCV_FAULT");
	if (fault && *fault && hcv_fault_arm(fault)) {
		hcv_log(HCV_SEV_ERR, "HCV_FAULT=%s: no such fault", fault);
		return 2;
	}
	hold = getenv("HCV_HOLD");
	if (hold && *hold && hcv_crash_hold_set(hold)) {
		hcv_log(HCV_SEV_ERR, "HCV_HOLD=%s: no such crash point", hold);
		return 2;
	}
	snprintf(threads, sizeof(threads), "%d", HCV_POOL_THREADS);
	setenv("UV_THREADPOOL_SIZE", threads, 1);
	signal(SIGPIPE, SIG_IGN);
	pthread_mutex_init(&a.lock, NULL);
	if (hcv_main_dirs(&a) || hcv_main_lock(&a) || hcv_loop_init(&a) ||
	    hcv_main_start(&a))
		return 1;
	hcv_loop_run(&a);
	hcv_main_end(&a);
	return 0;
}
