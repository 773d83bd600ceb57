// SPDX-License-Identifier: GPL-2.0-only
/*
 * NVMe over Fabrics, host side.
 *
 * Everything is found again in sysfs by the subsystem's NQN: a controller's
 * number means nothing.  Both forms of the driver are handled: with native
 * multipath the controller has a hidden path device (nvme1c2n1) and the one
 * that can be opened is its head (nvme1n1); without, there is just nvme2n1.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agent.h"
#include "core/nvme_names.h"
#include "nvme_host.h"
#include "slow.h"

#define CLASS_DIR	"/sys/class/nvme"
#define BLOCK_DIR	"/sys/block"
#define FABRICS		"/dev/nvme-fabrics"
#define PATH_LEN	512
#define POLL_MS		20
#define MAX_QUEUES	8

/*
 * Each quarter of the keep-alive time-out 6.1 sends a keep-alive, unless a
 * command was sent and completed in it; error recovery waits for one that is
 * under way, up to the whole time-out.  The module's beacons see to it that
 * none is sent while the target answers.  When it does not any more, error
 * recovery has to begin within that quarter, which may have begun with the last
 * beacon: the next one is the first to expire, the block layer notices that up to
 * about a second late, and a busy machine may need another one.
 */
#define SSD_IO_MS	1000
#define SSD_KATO_S	18
#define HDD_IO_MS	3000
#define HDD_KATO_S	30
#define BEACON_MS	500
#define EXPIRY_MS	(2 * BEACON_MS + 1024 + 1000)

_Static_assert(SSD_KATO_S * 250 >= SSD_IO_MS + EXPIRY_MS, "keep-alive in the way");
_Static_assert(HDD_KATO_S * 250 >= HDD_IO_MS + EXPIRY_MS, "keep-alive in the way");

/* A failed controller reaches `connecting` well within this. */
#define FAILED_WAIT_MS	5000

static const char *const state_name[] = {
	[HCV_NVME_NEW] = "new",
	[HCV_NVME_LIVE] = "live",
	[HCV_NVME_RESETTING] = "resetting",
	[HCV_NVME_CONNECTING] = "connecting",
	[HCV_NVME_DELETING] = "deleting",
	[HCV_NVME_DEAD] = "dead",
};

const char *hcv_nvme_state_name(enum hcv_nvme_state state)
{
	return (size_t)state < sizeof(state_name) / sizeof(state_name[0]) ?
		       state_name[state] : "unknown";
}

static int __attribute__((format(printf, 3, 4)))
fail(char *err, int ret, const char *fmt, ...)
{
	char text[HCV_ERR_SIZE];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	snprintf(err, HCV_ERR_SIZE, "%.180s: %.70s", text, strerror(-ret));
	return ret;
}

static int attr_get(const char *dir, const char *name, const char *attr,
		    char *out, size_t size)
{
	char path[PATH_LEN];
	ssize_t n;
	int fd, ret = 0;

	snprintf(path, sizeof(path), "%s/%s/%s", dir, name, attr);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, out, size - 1);
	if (n < 0)
		ret = -errno;
	close(fd);
	out[n > 0 ? n : 0] = '\0';
	out[strcspn(out, "\n")] = '\0';
	return ret;
}

/* Wait for the next look at sysfs; false when the time is over. */
static bool pause_until(int64_t until_ms)
{
	struct timespec ts = { 0, POLL_MS * 1000000L };

	if (hcv_now_ms() >= until_ms)
		return false;
	nanosleep(&ts, NULL);
	return true;
}

/* ---- modules ---- */

static bool loaded(const char *module)
{
	char path[PATH_LEN];
	struct stat st;

	snprintf(path, sizeof(path), "/sys/module/%s", module);
	return !stat(path, &st);
}

static int load(const char *words, int64_t until_ms, char *err)
{
	int ret = hcv_slow_run(words, HCV_SLOW_EXEC, "/sbin/modprobe", words,
			       until_ms, NULL, 0);

	return ret ? fail(err, ret, "modprobe %s failed", words) : 0;
}

/*
 * Without native multipath our fail-fast bios fail as soon as the controller
 * does. Where the driver is loaded already with it, fast_io_fail_tmo=0 does
 * the same a little later.
 */
int hcv_nvme_load_core(int64_t until_ms, char *err)
{
	err[0] = '\0';
	return loaded("nvme_core") ?
		       0 : load("nvme_core multipath=N", until_ms, err);
}

int hcv_nvme_prepare(const char *transport, int64_t until_ms, char *err)
{
	bool tcp = !strcmp(transport, "tcp");
	int ret;

	if (!tcp && strcmp(transport, "rdma"))
		return fail(err, -EINVAL, "unknown NVMe transport '%s'",
			    transport);
	ret = hcv_nvme_load_core(until_ms, err);
	if (!ret && !loaded(tcp ? "nvme_tcp" : "nvme_rdma"))
		ret = load(tcp ? "nvme-tcp" : "nvme-rdma", until_ms, err);
	return ret;
}

/* ---- controllers in sysfs ---- */

static enum hcv_nvme_state parse_state(const char *s)
{
	size_t i;

	for (i = 0; i < sizeof(state_name) / sizeof(state_name[0]); i++)
		if (!strcmp(s, state_name[i]))
			return (enum hcv_nvme_state)i;
	/* "deleting (no IO)" and what later kernels may add */
	return strncmp(s, "deleting", 8) ? HCV_NVME_DEAD : HCV_NVME_DELETING;
}

/* Anything that vanishes while it is read is no controller of ours. */
static bool read_ctrl(const char *name, struct hcv_nvme_ctrl *c)
{
	char nqn[HCV_NQN_LEN * 2], state[32];

	if (attr_get(CLASS_DIR, name, "subsysnqn", nqn, sizeof(nqn)) ||
	    !hcv_nvme_subnqn_parse(nqn, c->store, c->client) ||
	    attr_get(CLASS_DIR, name, "state", state, sizeof(state)) ||
	    attr_get(CLASS_DIR, name, "address", c->address,
		     sizeof(c->address)) ||
	    attr_get(CLASS_DIR, name, "transport", c->transport,
		     sizeof(c->transport)))
		return false;
	snprintf(c->name, sizeof(c->name), "%.31s", name);
	c->state = parse_state(state);
	return true;
}

int hcv_nvme_list(const char *client, struct hcv_nvme_ctrl **out, size_t *nr,
		  char *err)
{
	struct hcv_nvme_ctrl *list = NULL, c;
	size_t n = 0, cap = 0;
	struct dirent *e;
	DIR *d;

	err[0] = '\0';
	*out = NULL;
	*nr = 0;
	d = opendir(CLASS_DIR);
	if (!d)
		return errno == ENOENT ? 0 : fail(err, -errno, CLASS_DIR);
	while ((e = readdir(d))) {
		if (e->d_name[0] == '.' || !read_ctrl(e->d_name, &c) ||
		    (client && strcmp(c.client, client)))
			continue;
		if (n == cap) {
			struct hcv_nvme_ctrl *more;

			cap = cap ? cap * 2 : 16;
			more = reallocarray(list, cap, sizeof(*list));
			if (!more) {
				closedir(d);
				free(list);
				return fail(err, -ENOMEM, "controller list");
			}
			list = more;
		}
		list[n++] = c;
	}
	closedir(d);
	*out = list;
	*nr = n;
	return 0;
}

/* ---- deletion ---- */

static int delete_ctrl(const char *name, int64_t until_ms, char *err)
{
	char path[PATH_LEN];
	int ret;

	snprintf(path, sizeof(path), CLASS_DIR "/%s/delete_controller", name);
	ret = hcv_slow_run(path, HCV_SLOW_WRITE, path, "1", until_ms, NULL, 0);
	/* gone, or somebody else is at it: both are looked at again */
	if (ret == -ENOENT || ret == -ENODEV || ret == -EBUSY)
		ret = 0;
	return ret ? fail(err, ret, "cannot delete controller %s", name) : 0;
}

/* May it be deleted now?  See hcv_nvme_disconnect(). */
static bool deletable(const struct hcv_nvme_ctrl *c, int64_t patience_ms)
{
	if (c->state == HCV_NVME_DELETING)
		return false;
	return c->state == HCV_NVME_CONNECTING || c->state == HCV_NVME_DEAD ||
	       hcv_now_ms() >= patience_ms;
}

/* One look: delete what can be; @left: controllers still there. */
static int delete_round(const char *store, const char *client,
			int64_t patience_ms, int64_t until_ms, size_t *left,
			char *err)
{
	struct hcv_nvme_ctrl *c;
	size_t i, nr;
	int ret = hcv_nvme_list(client, &c, &nr, err);

	*left = 0;
	for (i = 0; !ret && i < nr; i++) {
		if (strcmp(c[i].store, store))
			continue;
		(*left)++;
		if (deletable(&c[i], patience_ms))
			ret = delete_ctrl(c[i].name, until_ms, err);
	}
	free(c);
	return ret;
}

int hcv_nvme_disconnect(const char *store, const char *client, bool failed,
			int64_t until_ms, char *err)
{
	int64_t patience_ms = hcv_now_ms() + (failed ? FAILED_WAIT_MS : 0);
	size_t left;
	int ret;

	do {
		ret = delete_round(store, client, patience_ms, until_ms, &left,
				   err);
		if (ret || !left)
			return ret;
	} while (pause_until(until_ms));
	return fail(err, -ETIMEDOUT, "deleting the controller of store %s",
		    store);
}

/* ---- connecting ---- */

static bool same_address(const struct hcv_nvme_ctrl *c,
			 const struct hcv_nvme_conn *to)
{
	char want[128];
	size_t len;

	len = (size_t)snprintf(want, sizeof(want), "traddr=%s,trsvcid=%u",
			       to->addr, to->port);
	return !strcmp(c->transport, to->transport) &&
	       !strncmp(c->address, want, len) &&
	       (!c->address[len] || c->address[len] == ',');
}

static unsigned int nr_queues(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n < 1 ? 1 : n > MAX_QUEUES ? MAX_QUEUES : (unsigned int)n;
}

static int make_ctrl(const struct hcv_nvme_conn *c, char name[32],
		     int64_t until_ms, char *err)
{
	char opts[HCV_SLOW_ARG], nqn[HCV_NQN_LEN], host[HCV_NQN_LEN];
	char answer[128];
	int ret, inst;

	hcv_nvme_subnqn(c->store, c->client, nqn);
	hcv_nvme_hostnqn(c->client, host);
	snprintf(opts, sizeof(opts),
		 "transport=%s,traddr=%s,trsvcid=%u,nqn=%s,hostnqn=%s,hostid=%s,keep_alive_tmo=%d,reconnect_delay=1,ctrl_loss_tmo=-1,fast_io_fail_tmo=0,nr_io_queues=%u",
		 c->transport, c->addr, c->port, nqn, host, c->client,
		 c->slow ? HDD_KATO_S : SSD_KATO_S, nr_queues());
	ret = hcv_slow_run(nqn, HCV_SLOW_WRITE, FABRICS, opts, until_ms,
			   answer, sizeof(answer));
	if (ret)
		return fail(err, ret, "cannot connect to store %s at %s:%u",
			    c->store, c->addr, c->port);
	if (sscanf(answer, "instance=%d", &inst) != 1)
		return fail(err, -EPROTO, FABRICS " answered '%.40s'", answer);
	snprintf(name, 32, "nvme%d", inst);
	return 0;
}

/*
 * The pair's controller: -EAGAIN with @name empty: there is none, connect.
 * Superfluous and failed ones are deleted on the way.
 */
static int use_ctrl(const struct hcv_nvme_conn *to, char name[32],
		    int64_t until_ms, char *err)
{
	struct hcv_nvme_ctrl *c;
	size_t i, nr;
	int ret = hcv_nvme_list(to->client, &c, &nr, err);

	name[0] = '\0';
	for (i = 0; !ret && i < nr; i++) {
		bool good = same_address(&c[i], to) && !name[0];

		/* one on its way out does not hinder a new one */
		if (strcmp(c[i].store, to->store) ||
		    c[i].state == HCV_NVME_DELETING)
			continue;
		if (good && c[i].state == HCV_NVME_LIVE)
			memcpy(name, c[i].name, sizeof(c[i].name));
		else if (good && (c[i].state == HCV_NVME_NEW ||
				  c[i].state == HCV_NVME_RESETTING))
			ret = -EINPROGRESS;
		else
			ret = delete_ctrl(c[i].name, until_ms, err);
	}
	free(c);
	if (!ret && !name[0])
		ret = -EAGAIN;
	return ret;
}

/* ---- the namespace ---- */

/* nvme1c2n1 -> nvme1n1; a name without a path part stays. */
static void head_name(const char *path_name, char *out, size_t size)
{
	const char *c = strchr(path_name + 4, 'c');
	const char *n = strrchr(path_name, 'n');

	if (c && n > c)
		snprintf(out, size, "%.*s%s", (int)(c - path_name), path_name,
			 n);
	else
		snprintf(out, size, "%s", path_name);
}

/* The block device (or path device) below a controller with this UUID. */
static bool find_ns(const char *ctrl, const char *uuid, char *name,
		    size_t size)
{
	char dir[PATH_LEN], have[64];
	bool found = false;
	struct dirent *e;
	DIR *d;

	snprintf(dir, sizeof(dir), CLASS_DIR "/%s", ctrl);
	d = opendir(dir);
	while (!found && d && (e = readdir(d))) {
		if (strncmp(e->d_name, "nvme", 4) ||
		    strspn(e->d_name + 4, "0123456789cn") !=
			    strlen(e->d_name + 4))
			continue;
		if (attr_get(dir, e->d_name, "uuid", have, sizeof(have)) ||
		    strcasecmp(have, uuid))
			continue;
		snprintf(name, size, "%.31s", e->d_name);
		found = true;
	}
	if (d)
		closedir(d);
	return found;
}

static int set_timeout(const char *ctrl, const char *ns, bool slow, char *err)
{
	char path[PATH_LEN], dir[PATH_LEN], val[16], now[32];
	int fd, ret = 0;

	snprintf(dir, sizeof(dir), CLASS_DIR "/%s", ctrl);
	snprintf(val, sizeof(val), "%d", slow ? HDD_IO_MS : SSD_IO_MS);
	if (!attr_get(dir, ns, "queue/io_timeout", now, sizeof(now)) &&
	    !strcmp(now, val))
		return 0;
	snprintf(path, sizeof(path), "%.200s/%s/queue/io_timeout", dir, ns);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return fail(err, -errno, "%s", path);
	if (write(fd, val, strlen(val)) < 0)
		ret = fail(err, -errno, "%s = %s", path, val);
	close(fd);
	return ret;
}

/* -EAGAIN: it is not there yet, or any more */
static int look_ns(const struct hcv_nvme_conn *c, const char *ctrl, char *dev,
		   char *err)
{
	char uuid[HCV_ID_LEN], ns[32], head[32];
	struct stat st;
	int ret;

	hcv_nvme_nsuuid(c->store, c->client, uuid);
	if (!find_ns(ctrl, uuid, ns, sizeof(ns)))
		return -EAGAIN;
	head_name(ns, head, sizeof(head));
	snprintf(dev, HCV_NVME_DEV_LEN, "/dev/%s", head);
	if (stat(dev, &st) || !S_ISBLK(st.st_mode))
		return -EAGAIN;
	ret = set_timeout(ctrl, ns, c->slow, err);
	return ret == -ENOENT || ret == -ENODEV ? -EAGAIN : ret;
}

static int wait_ns(const struct hcv_nvme_conn *c, const char *ctrl, char *dev,
		   int64_t until_ms, char *err)
{
	char state[32];
	int ret;

	do {
		if (attr_get(CLASS_DIR, ctrl, "state", state, sizeof(state)))
			return fail(err, -ENOTCONN,
				    "the connection to store %s broke at once",
				    c->store);
		ret = look_ns(c, ctrl, dev, err);
		if (ret != -EAGAIN)
			return ret;
	} while (pause_until(until_ms));
	return fail(err, -ETIMEDOUT,
		    "store %s: controller %s is %s but its namespace did not appear",
		    c->store, ctrl, state);
}

int hcv_nvme_lookup(const struct hcv_nvme_conn *c, char *dev, char *err)
{
	struct hcv_nvme_ctrl *list;
	size_t i, nr;
	int ret = hcv_nvme_list(c->client, &list, &nr, err);

	if (ret)
		return ret;
	ret = -EAGAIN;
	for (i = 0; i < nr && ret == -EAGAIN; i++)
		if (!strcmp(list[i].store, c->store) &&
		    list[i].state == HCV_NVME_LIVE && same_address(&list[i], c))
			ret = look_ns(c, list[i].name, dev, err);
	free(list);
	return ret;
}

int hcv_nvme_connect(const struct hcv_nvme_conn *c, char *dev,
		     int64_t until_ms, char *err)
{
	char name[32];
	int ret;

	dev[0] = '\0';
	ret = hcv_nvme_prepare(c->transport, until_ms, err);
	if (ret)
		return ret;
	do {
		ret = use_ctrl(c, name, until_ms, err);
	} while (ret == -EINPROGRESS && pause_until(until_ms));
	if (ret == -EINPROGRESS)
		return fail(err, -ETIMEDOUT,
			    "the controller of store %s is still resetting",
			    c->store);
	HCV_CRASH_POINT("host.connect");
	if (ret == -EAGAIN)
		ret = make_ctrl(c, name, until_ms, err);
	HCV_CRASH_POINT("host.connected");
	if (ret)
		return ret;
	ret = wait_ns(c, name, dev, until_ms, err);
	HCV_CRASH_POINT("host.namespace");
	return ret;
}
