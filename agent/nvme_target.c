// SPDX-License-Identifier: GPL-2.0-only
/*
 * NVMe over Fabrics, target side: nvmet through configfs.
 *
 * Order of set-up: subsystem, serial, namespace with its identity, enable,
 * host, allowed host, and last the link from the port, which makes all of it
 * reachable at once.  Take-down is allowed host, port link, enable = 0,
 * namespace, subsystem: in any other order requests slip through, or the
 * namespace keeps serving (it leaks a reference per request that meets it
 * disabled).  A namespace that is not enabled is therefore never enabled
 * again but made anew.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "agent.h"
#include "core/nvme_names.h"
#include "nvme_host.h"
#include "nvme_target.h"
#include "slow.h"

#define CONFIGFS_MAGIC	0x62656570	/* fs/configfs/mount.c */
#define CONFIGFS	"/sys/kernel/config"
#define NVMET		CONFIGFS "/nvmet"
#define MODEL		"hcivol"
#define PORT_TRIES	16
#define PATH_LEN	512

/* One (store, client) pair under work. */
struct pair {
	char nqn[HCV_NQN_LEN];
	char host[HCV_NQN_LEN];
	char serial[HCV_SERIAL_LEN];
	char uuid[HCV_ID_LEN];
	char subsys[PATH_LEN];		/* paths */
	char ns[PATH_LEN];
	char hostdir[PATH_LEN];
	char allowed[PATH_LEN];
	int64_t until_ms;
	char *err;
};

/* Ports are shared by all pairs: found and made by one job at a time. */
static pthread_mutex_t port_lock = PTHREAD_MUTEX_INITIALIZER;

static int fail(char *err, int ret, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int fail(char *err, int ret, const char *fmt, ...)
{
	char text[HCV_ERR_SIZE];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	snprintf(err, HCV_ERR_SIZE, "%.180s: %.70s", text, strerror(-ret));
	return ret;
}

static void __attribute__((format(printf, 2, 3)))
path_set(char out[PATH_LEN], const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(out, PATH_LEN, fmt, ap);
	va_end(ap);
}

static void pair_init(struct pair *p, const char *store, const char *client,
		      int64_t until_ms, char *err)
{
	hcv_nvme_subnqn(store, client, p->nqn);
	hcv_nvme_hostnqn(client, p->host);
	hcv_nvme_serial(store, p->serial);
	hcv_nvme_nsuuid(store, client, p->uuid);
	path_set(p->subsys, NVMET "/subsystems/%s", p->nqn);
	path_set(p->ns, NVMET "/subsystems/%s/namespaces/1", p->nqn);
	path_set(p->hostdir, NVMET "/hosts/%s", p->host);
	path_set(p->allowed, NVMET "/subsystems/%s/allowed_hosts/%s", p->nqn,
		 p->host);
	p->until_ms = until_ms;
	p->err = err;
	err[0] = '\0';
}

/* ---- files ---- */

/* First line of an attribute; -ENOENT if there is no such object. */
static int attr_get(const char *dir, const char *name, char *out, size_t size)
{
	char path[PATH_LEN];
	ssize_t n;
	int fd, ret = 0;

	path_set(path, "%.380s/%s", dir, name);
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

static bool attr_is(const char *dir, const char *name, const char *want)
{
	char now[PATH_LEN];

	return !attr_get(dir, name, now, sizeof(now)) && !strcmp(now, want);
}

/* Attributes that only store a value: quick. */
static int attr_set(const char *dir, const char *name, const char *val,
		    char *err)
{
	char path[PATH_LEN];
	ssize_t n;
	int fd, ret = 0;

	path_set(path, "%.380s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return fail(err, -errno, "%s", path);
	n = write(fd, val, strlen(val));
	if (n < 0)
		ret = fail(err, -errno, "%s = %s", path, val);
	close(fd);
	return ret;
}

static int dir_make(const char *path, char *err)
{
	if (!mkdir(path, 0755) || errno == EEXIST)
		return 0;
	return fail(err, -errno, "cannot create %s", path);
}

/* What has to wait for the lock that a draining namespace holds. */
static int slow(struct pair *p, enum hcv_slow_op op, const char *path,
		const char *arg)
{
	int ret = hcv_slow_run(p->nqn, op, path, arg, p->until_ms, NULL, 0);

	if (op == HCV_SLOW_SYMLINK && ret == -EEXIST)
		return 0;
	if ((op == HCV_SLOW_UNLINK || op == HCV_SLOW_RMDIR) && ret == -ENOENT)
		return 0;
	return ret ? fail(p->err, ret, "%s", path) : 0;
}

static bool exists(const char *path)
{
	struct stat st;

	return !lstat(path, &st);
}

/* ---- modules and configfs ---- */

static int load(const char *module, int64_t until_ms, char *err)
{
	char path[PATH_LEN], dir[64], *c;
	int ret;

	snprintf(dir, sizeof(dir), "%s", module);
	for (c = dir; *c; c++)
		if (*c == '-')
			*c = '_';
	path_set(path, "/sys/module/%s", dir);
	if (exists(path))
		return 0;
	ret = hcv_slow_run(module, HCV_SLOW_EXEC, "/sbin/modprobe", module,
			   until_ms, NULL, 0);
	if (ret)
		return fail(err, ret, "modprobe %s failed", module);
	return 0;
}

static int mount_configfs(char *err)
{
	struct statfs fs;

	if (!statfs(CONFIGFS, &fs) && fs.f_type == CONFIGFS_MAGIC)
		return 0;
	if (mount("none", CONFIGFS, "configfs", 0, NULL) && errno != EBUSY)
		return fail(err, -errno, "cannot mount configfs on " CONFIGFS);
	return 0;
}

int hcv_nvmet_prepare(const char *transport, int64_t until_ms, char *err)
{
	char module[32];
	int ret;

	err[0] = '\0';
	if (strcmp(transport, "tcp") && strcmp(transport, "rdma"))
		return fail(err, -EINVAL, "unknown NVMe transport '%s'",
			    transport);
	ret = load("configfs", until_ms, err);
	if (!ret)
		ret = mount_configfs(err);
	if (!ret)
		ret = hcv_nvme_load_core(until_ms, err);
	if (!ret)
		ret = load("nvmet", until_ms, err);
	snprintf(module, sizeof(module), "nvmet-%s", transport);
	if (!ret)
		ret = load(module, until_ms, err);
	if (!ret && !exists(NVMET))
		ret = fail(err, -ENOENT, NVMET);
	return ret;
}

/* ---- ports ---- */

struct port_want {
	const char *transport, *family, *addr;
	char svcid[16];
};

static void port_want_init(struct port_want *w,
			   const struct hcv_nvmet_addr *at)
{
	w->transport = at->transport;
	w->family = strchr(at->addr, ':') ? "ipv6" : "ipv4";
	w->addr = at->addr;
	snprintf(w->svcid, sizeof(w->svcid), "%u", at->port);
}

static bool port_fits(const char *dir, const struct port_want *w)
{
	return attr_is(dir, "addr_traddr", w->addr) &&
	       attr_is(dir, "addr_trsvcid", w->svcid) &&
	       attr_is(dir, "addr_trtype", w->transport) &&
	       attr_is(dir, "addr_adrfam", w->family);
}

/*
 * The address is written last: a port without one was left half-made, by us
 * or by somebody who has not got any further, and listens nowhere.
 */
static int port_fill(const char *dir, const struct port_want *w, char *err)
{
	int ret = attr_set(dir, "addr_trtype", w->transport, err);

	HCV_CRASH_POINT("nvmet.port-made");
	if (!ret)
		ret = attr_set(dir, "addr_adrfam", w->family, err);
	if (!ret)
		ret = attr_set(dir, "addr_trsvcid", w->svcid, err);
	HCV_CRASH_POINT("nvmet.port-service");
	if (!ret)
		ret = attr_set(dir, "addr_traddr", w->addr, err);
	return ret;
}

/* A port that fits, wherever it is; else the first free number is taken. */
static int port_find(const struct port_want *w, unsigned int first,
		     char dir[PATH_LEN], char *err)
{
	unsigned int id;
	char traddr[256];
	int ret;

	for (id = first; id < first + PORT_TRIES; id++) {
		path_set(dir, NVMET "/ports/%u", id);
		if (port_fits(dir, w))
			return 0;
	}
	for (id = first; id < first + PORT_TRIES; id++) {
		path_set(dir, NVMET "/ports/%u", id);
		ret = dir_make(dir, err);
		if (ret)
			return ret;
		ret = attr_get(dir, "addr_traddr", traddr, sizeof(traddr));
		if (ret)
			return fail(err, ret, "%s", dir);
		if (!traddr[0])
			return port_fill(dir, w, err);
	}
	return fail(err, -EBUSY, "no free NVMe target port among %u..%u", first,
		    first + PORT_TRIES - 1);
}

static int port_ensure(const struct hcv_nvmet_addr *at, char dir[PATH_LEN],
		       char *err)
{
	struct port_want w;
	int ret;

	port_want_init(&w, at);
	pthread_mutex_lock(&port_lock);
	ret = port_find(&w, HCV_NVME_PORT, dir, err);
	pthread_mutex_unlock(&port_lock);
	return ret;
}

/* A port of our numbers that serves nobody any more. */
static int port_drop(struct pair *p, const char *dir, const char *name)
{
	unsigned long id = strtoul(name, NULL, 10);
	int ret;

	if (id < HCV_NVME_PORT || id >= HCV_NVME_PORT + PORT_TRIES)
		return 0;
	ret = hcv_slow_run(p->nqn, HCV_SLOW_RMDIR, dir, NULL, p->until_ms,
			   NULL, 0);
	/* others use it, or removed it */
	if (ret == -ENOTEMPTY || ret == -EBUSY || ret == -ENOENT)
		return 0;
	return ret ? fail(p->err, ret, "%s", dir) : 0;
}

/* Links to the subsystem from all ports but @keep (NULL: from all). */
static int port_unlink_all(struct pair *p, const char *keep)
{
	struct dirent *e;
	int ret = 0;
	DIR *d;

	d = opendir(NVMET "/ports");
	if (!d)
		return errno == ENOENT ?
			       0 : fail(p->err, -errno, NVMET "/ports");
	while (!ret && (e = readdir(d))) {
		char port[PATH_LEN], link[PATH_LEN];

		if (e->d_name[0] == '.')
			continue;
		path_set(port, NVMET "/ports/%.64s", e->d_name);
		if (keep && !strcmp(port, keep))
			continue;
		path_set(link, "%.200s/subsystems/%s", port, p->nqn);
		if (!exists(link))
			continue;
		ret = slow(p, HCV_SLOW_UNLINK, link, NULL);
		HCV_CRASH_POINT("nvmet.port-unlinked");
		if (!ret)
			ret = port_drop(p, port, e->d_name);
	}
	closedir(d);
	return ret;
}

/* ---- take-down ---- */

static int unlink_hosts(struct pair *p)
{
	char dir[PATH_LEN];
	struct dirent *e;
	int ret = 0;
	DIR *d;

	path_set(dir, "%.300s/allowed_hosts", p->subsys);
	d = opendir(dir);
	if (!d)
		return errno == ENOENT ? 0 : fail(p->err, -errno, "%s", dir);
	while (!ret && (e = readdir(d))) {
		char link[PATH_LEN];

		if (e->d_name[0] == '.')
			continue;
		path_set(link, "%.300s/%.128s", dir, e->d_name);
		ret = slow(p, HCV_SLOW_UNLINK, link, NULL);
	}
	closedir(d);
	return ret;
}

/* Host and port first: nobody may come back while the namespace drains. */
static int take_down_ns(struct pair *p)
{
	char path[PATH_LEN];
	int ret;

	ret = unlink_hosts(p);
	HCV_CRASH_POINT("nvmet.remove-host");
	if (!ret)
		ret = port_unlink_all(p, NULL);
	HCV_CRASH_POINT("nvmet.remove-port");
	if (ret || !exists(p->ns))
		return ret;
	path_set(path, "%.400s/enable", p->ns);
	if (!attr_is(p->ns, "enable", "0"))
		ret = slow(p, HCV_SLOW_WRITE, path, "0");
	HCV_CRASH_POINT("nvmet.remove-disabled");
	if (!ret)
		ret = slow(p, HCV_SLOW_RMDIR, p->ns, NULL);
	return ret;
}

int hcv_nvmet_remove(const char *store, const char *client, int64_t until_ms,
		     char *err)
{
	struct pair p;
	int ret = 0;

	pair_init(&p, store, client, until_ms, err);
	if (exists(p.subsys)) {
		ret = take_down_ns(&p);
		HCV_CRASH_POINT("nvmet.remove-ns");
		if (!ret)
			ret = slow(&p, HCV_SLOW_RMDIR, p.subsys, NULL);
	}
	HCV_CRASH_POINT("nvmet.remove-subsys");
	/* the host stays while another store still allows it */
	if (!ret && exists(p.hostdir)) {
		ret = hcv_slow_run(p.host, HCV_SLOW_RMDIR, p.hostdir, NULL,
				   until_ms, NULL, 0);
		if (ret == -EBUSY || ret == -ENOENT)
			ret = 0;
		if (ret)
			fail(err, ret, "%s", p.hostdir);
	}
	return ret;
}

/* ---- set-up ---- */

static bool nguid_is(const struct pair *p)
{
	char now[64], plain[64];
	size_t i, n;

	if (attr_get(p->ns, "device_nguid", now, sizeof(now)))
		return false;
	for (i = n = 0; now[i]; i++)
		if (now[i] != '-')
			plain[n++] = now[i];
	plain[n] = '\0';
	for (i = n = 0; p->uuid[i]; i++) {
		if (p->uuid[i] == '-')
			continue;
		if (plain[n++] != p->uuid[i])
			return false;
	}
	return !plain[n];
}

static bool ns_fits(const struct pair *p, const char *dev)
{
	return attr_is(p->ns, "enable", "1") &&
	       attr_is(p->ns, "device_path", dev) &&
	       attr_is(p->ns, "device_uuid", p->uuid) && nguid_is(p);
}

static int ns_make(struct pair *p, const char *dev)
{
	char path[PATH_LEN];
	int ret = dir_make(p->ns, p->err);

	HCV_CRASH_POINT("nvmet.ns-made");
	if (!ret)
		ret = attr_set(p->ns, "device_path", dev, p->err);
	if (!ret)
		ret = attr_set(p->ns, "device_uuid", p->uuid, p->err);
	if (!ret)
		ret = attr_set(p->ns, "device_nguid", p->uuid, p->err);
	HCV_CRASH_POINT("nvmet.ns-named");
	path_set(path, "%.400s/enable", p->ns);
	if (!ret)
		ret = slow(p, HCV_SLOW_WRITE, path, "1");
	return ret;
}

static int subsys_make(struct pair *p)
{
	int ret = dir_make(p->subsys, p->err);

	HCV_CRASH_POINT("nvmet.subsys-made");
	if (!ret && !attr_is(p->subsys, "attr_serial", p->serial))
		ret = attr_set(p->subsys, "attr_serial", p->serial, p->err);
	if (!ret && !attr_is(p->subsys, "attr_allow_any_host", "0"))
		ret = attr_set(p->subsys, "attr_allow_any_host", "0", p->err);
	/* cannot be changed any more once a client has seen another one */
	if (!ret && !attr_is(p->subsys, "attr_model", MODEL))
		ret = attr_set(p->subsys, "attr_model", MODEL, p->err);
	return ret;
}

/* Links from anything but the pair's own client do not belong there. */
static bool only_host(const struct pair *p)
{
	char dir[PATH_LEN];
	bool ok = true;
	struct dirent *e;
	DIR *d;

	path_set(dir, "%.300s/allowed_hosts", p->subsys);
	d = opendir(dir);
	while (d && (e = readdir(d)))
		if (e->d_name[0] != '.' && strcmp(e->d_name, p->host))
			ok = false;
	if (d)
		closedir(d);
	return d && ok;
}

static int connect_pair(struct pair *p, const char *port)
{
	char link[PATH_LEN];
	int ret;

	ret = dir_make(p->hostdir, p->err);
	HCV_CRASH_POINT("nvmet.host-made");
	if (!ret && !exists(p->allowed))
		ret = slow(p, HCV_SLOW_SYMLINK, p->allowed, p->hostdir);
	HCV_CRASH_POINT("nvmet.host-allowed");
	if (!ret)
		ret = port_unlink_all(p, port);
	path_set(link, "%.200s/subsystems/%s", port, p->nqn);
	if (!ret && !exists(link)) {
		ret = slow(p, HCV_SLOW_SYMLINK, link, p->subsys);
		if (ret == -EADDRNOTAVAIL || ret == -EADDRINUSE)
			fail(p->err, ret,
			     "the NVMe target cannot listen on this node's address (%s)",
			     port);
	}
	return ret;
}

int hcv_nvmet_ensure(const struct hcv_nvmet_addr *at, const char *store,
		     const char *client, const char *dev, int64_t until_ms,
		     char *err)
{
	char port[PATH_LEN];
	struct pair p;
	int ret;

	pair_init(&p, store, client, until_ms, err);
	ret = hcv_nvmet_prepare(at->transport, until_ms, err);
	if (ret)
		return ret;
	if (exists(p.ns) && !ns_fits(&p, dev))
		ret = take_down_ns(&p);
	if (!ret)
		ret = subsys_make(&p);
	if (!ret && !exists(p.ns))
		ret = ns_make(&p, dev);
	HCV_CRASH_POINT("nvmet.ns-enabled");
	if (!ret && !only_host(&p))
		ret = unlink_hosts(&p);
	if (!ret)
		ret = port_ensure(at, port, err);
	HCV_CRASH_POINT("nvmet.port-ready");
	if (!ret)
		ret = connect_pair(&p, port);
	HCV_CRASH_POINT("nvmet.linked");
	return ret;
}

int hcv_nvmet_list(struct hcv_nvmet_subsys **out, size_t *nr, char *err)
{
	struct hcv_nvmet_subsys *list = NULL;
	size_t n = 0, cap = 0;
	struct dirent *e;
	DIR *d;

	err[0] = '\0';
	*out = NULL;
	*nr = 0;
	d = opendir(NVMET "/subsystems");
	if (!d)
		return errno == ENOENT ?
			       0 : fail(err, -errno, NVMET "/subsystems");
	while ((e = readdir(d))) {
		struct hcv_nvmet_subsys s;

		if (!hcv_nvme_subnqn_parse(e->d_name, s.store, s.client))
			continue;
		if (n == cap) {
			struct hcv_nvmet_subsys *more;

			cap = cap ? cap * 2 : 16;
			more = reallocarray(list, cap, sizeof(*list));
			if (!more) {
				closedir(d);
				free(list);
				return fail(err, -ENOMEM, "subsystem list");
			}
			list = more;
		}
		list[n++] = s;
	}
	closedir(d);
	*out = list;
	*nr = n;
	return 0;
}
