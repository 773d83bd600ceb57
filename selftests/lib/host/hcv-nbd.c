// SPDX-License-Identifier: GPL-2.0-only
/*
 * A disk with a volatile write cache, as an NBD server, for power cuts.
 *
 * Usage: hcv-nbd SOCKET FILE SECTOR-BYTES
 *
 * How it works
 *
 * FILE always holds what a reader must see now. For each write, trim or zeroing
 * since the last FLUSH a log entry in memory holds what was there before and
 * what came. A power cut undoes all entries, last one first, and then applies
 * again those that are to have reached the medium, in their order: a FUA write
 * always, of the others none, a random choice or a random prefix. Of the ones
 * chosen at random some are torn: only some of their sectors get there. When
 * the log exceeds HCV_LOG_MAX, the oldest entries have reached the medium.
 *
 * Commands come on standard input, one line each, answered by "ok ..." or
 * "error ..."; its end ends the server (nothing is lost then). A first "ok" says
 * that the server can be connected to.
 *
 *   cut drop           lose all that was not flushed, close the connection
 *   cut random SEED    lose some of it
 *   cut prefix SEED    lose the last part of it
 *   fail none|read|write|all
 *                      answer such requests with EIO from now on
 *   hold on|off        take no requests while on: a disk that hangs
 *   lie on|off         while on, FLUSH and FUA make nothing durable
 *   stats              entries and bytes not flushed, flushes so far
 *
 * One client at a time; a new connection replaces the old one.
 */
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define HCV_LOG_MAX	(64UL << 20)
#define HCV_CHUNK	(1UL << 20)
#define HCV_REQ_MAX	(32UL << 20)

#define NBD_MAGIC		0x4e42444d41474943ULL
#define NBD_OPT_MAGIC		0x49484156454f5054ULL
#define NBD_REP_MAGIC		0x3e889045565a9ULL
#define NBD_REQUEST_MAGIC	0x25609513U
#define NBD_REPLY_MAGIC		0x67446698U
#define NBD_FIXED_NEWSTYLE	1
#define NBD_NO_ZEROES		2
#define NBD_OPT_ABORT		2
#define NBD_OPT_GO		7
#define NBD_REP_ACK		1
#define NBD_REP_INFO		3
#define NBD_REP_ERR_UNSUP	0x80000001U
#define NBD_INFO_EXPORT		0
/* has flags, flush, FUA, trim, write zeroes */
#define NBD_FLAGS		(1 | 4 | 8 | 32 | 64)
#define NBD_CMD_FLAG_FUA	1

enum nbd_cmd {
	NBD_CMD_READ,
	NBD_CMD_WRITE,
	NBD_CMD_DISC,
	NBD_CMD_FLUSH,
	NBD_CMD_TRIM,
	NBD_CMD_WRITE_ZEROES = 6,
};

struct nbd_option {
	uint64_t magic;
	uint32_t option;
	uint32_t len;
} __attribute__((packed));

struct nbd_option_reply {
	uint64_t magic;
	uint32_t option;
	uint32_t type;
	uint32_t len;
} __attribute__((packed));

struct nbd_request {
	uint32_t magic;
	uint16_t flags;
	uint16_t type;
	uint64_t handle;
	uint64_t offset;
	uint32_t len;
} __attribute__((packed));

struct nbd_reply {
	uint32_t magic;
	uint32_t error;
	uint64_t handle;
} __attribute__((packed));

/* One change since the last flush; NULL data stand for zeroes. */
struct hcv_entry {
	struct hcv_entry *prev, *next;
	uint64_t offset;
	size_t len;
	bool fua;
	char *old;
	char *new;
};

static struct hcv_entry *oldest, *newest;
static size_t log_bytes;
static unsigned long log_entries, flushes;
static int disk = -1, client = -1;
static uint64_t disk_size;
static size_t sector;
static bool fail_reads, fail_writes, held, lies;
static char *buffer;

static void hcv_die(const char *what)
{
	fprintf(stderr, "hcv-nbd: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void *hcv_alloc(size_t len)
{
	void *data = calloc(1, len);

	if (!data)
		hcv_die("out of memory");
	return data;
}

/* Return: false at the end of the stream or on an error. */
static bool hcv_recv(void *data, size_t len)
{
	ssize_t n = 0;

	for (; len; len -= n, data = (char *)data + n) {
		n = recv(client, data, len, MSG_WAITALL);
		if (n <= 0)
			return false;
	}
	return true;
}

static bool hcv_send(const void *data, size_t len, bool more)
{
	ssize_t n = 0;

	for (; len; len -= n, data = (const char *)data + n) {
		n = send(client, data, len, MSG_NOSIGNAL | (more ? MSG_MORE : 0));
		if (n <= 0)
			return false;
	}
	return true;
}

static void hcv_disconnect(void)
{
	if (client >= 0)
		close(client);
	client = -1;
}

/* Return: 0, or the negative errno of a failed access to the file. */
static int hcv_pread(char *data, size_t len, uint64_t offset)
{
	ssize_t n;

	for (; len; len -= n, data += n, offset += n) {
		n = pread(disk, data, len, offset);
		if (n < 0)
			return -errno;
		if (!n)
			return -EIO;
	}
	return 0;
}

static int hcv_pwrite(const char *data, size_t len, uint64_t offset)
{
	ssize_t n;

	if (!data)
		return fallocate(disk, FALLOC_FL_PUNCH_HOLE |
				 FALLOC_FL_KEEP_SIZE, offset, len) ? -errno : 0;
	for (; len; len -= n, data += n, offset += n) {
		n = pwrite(disk, data, len, offset);
		if (n < 0)
			return -errno;
	}
	return 0;
}

static bool hcv_is_hole(uint64_t offset, size_t len)
{
	off_t data = lseek(disk, offset, SEEK_DATA);

	return data < 0 ? errno == ENXIO : (uint64_t)data >= offset + len;
}

static void hcv_log_drop_oldest(void)
{
	struct hcv_entry *entry = oldest;

	oldest = entry->next;
	if (oldest)
		oldest->prev = NULL;
	else
		newest = NULL;
	log_bytes -= (entry->old ? entry->len : 0) +
		     (entry->new ? entry->len : 0);
	log_entries--;
	free(entry->old);
	free(entry->new);
	free(entry);
}

/*
 * Note a change before it is made; data NULL = zeroes.
 * Return: 0 or the negative errno of reading what is there.
 */
static int hcv_log_add(const char *data, size_t len, uint64_t offset, bool fua)
{
	struct hcv_entry *entry = hcv_alloc(sizeof(*entry));
	int err = 0;

	entry->offset = offset;
	entry->len = len;
	entry->fua = fua;
	if (!hcv_is_hole(offset, len)) {
		entry->old = hcv_alloc(len);
		err = hcv_pread(entry->old, len, offset);
	}
	if (data) {
		entry->new = hcv_alloc(len);
		memcpy(entry->new, data, len);
	}
	entry->prev = newest;
	if (newest)
		newest->next = entry;
	else
		oldest = entry;
	newest = entry;
	log_entries++;
	log_bytes += (entry->old ? len : 0) + (entry->new ? len : 0);
	while (log_bytes > HCV_LOG_MAX && oldest != newest)
		hcv_log_drop_oldest();
	return err;
}

static int hcv_change(const char *data, uint64_t len, uint64_t offset, bool fua)
{
	uint64_t part;
	int err = 0;

	for (; len && !err; len -= part, offset += part) {
		/* What is zero already needs no old data, however long. */
		part = len;
		if (data || !hcv_is_hole(offset, len))
			part = len < HCV_CHUNK ? len : HCV_CHUNK;
		err = hcv_log_add(data, part, offset, fua);
		if (!err)
			err = hcv_pwrite(data, part, offset);
		if (data)
			data += part;
	}
	return err;
}

static void hcv_flush(void)
{
	while (oldest && !lies)
		hcv_log_drop_oldest();
	flushes++;
}

/* Apply one entry again, whole or, when torn, some of its sectors. */
static void hcv_redo(const struct hcv_entry *entry, bool torn)
{
	size_t at, part;

	for (at = 0; at < entry->len; at += part) {
		part = torn ? sector : entry->len;
		if (part > entry->len - at)
			part = entry->len - at;
		if (torn && lrand48() & 1)
			continue;
		errno = -hcv_pwrite(entry->new ? entry->new + at : NULL, part,
				    entry->offset + at);
		if (errno)
			hcv_die("cannot apply a write");
	}
}

/* Return: how many changes did not reach the medium in full. */
static unsigned long hcv_cut(bool random, bool prefix)
{
	unsigned long lost = 0, keep = 0, nr = 0;
	struct hcv_entry *entry;
	bool torn, kept;

	hcv_disconnect();
	if (prefix)
		keep = lrand48() % (log_entries + 1);
	for (entry = newest; entry; entry = entry->prev) {
		errno = -hcv_pwrite(entry->old, entry->len, entry->offset);
		if (errno)
			hcv_die("cannot undo a write");
	}
	for (entry = oldest; entry; entry = entry->next, nr++) {
		kept = entry->fua || (random && lrand48() & 1) || nr < keep;
		torn = kept && random && !entry->fua && !(lrand48() & 7);
		if (kept)
			hcv_redo(entry, torn);
		lost += !kept || torn;
	}
	while (oldest)
		hcv_log_drop_oldest();
	return lost;
}

static bool hcv_option_reply(uint32_t option, uint32_t type, const void *data,
			     uint32_t len)
{
	struct nbd_option_reply reply = {
		.magic = htobe64(NBD_REP_MAGIC),
		.option = htobe32(option),
		.type = htobe32(type),
		.len = htobe32(len),
	};

	return hcv_send(&reply, sizeof(reply), len) && hcv_send(data, len, false);
}

/* Return: whether the transmission phase was reached. */
static bool hcv_negotiate(void)
{
	struct {
		uint64_t magic, opt_magic;
		uint16_t flags;
	} __attribute__((packed)) hello = {
		htobe64(NBD_MAGIC), htobe64(NBD_OPT_MAGIC),
		htobe16(NBD_FIXED_NEWSTYLE | NBD_NO_ZEROES),
	};
	struct {
		uint16_t info;
		uint64_t size;
		uint16_t flags;
	} __attribute__((packed)) export = {
		htobe16(NBD_INFO_EXPORT), htobe64(disk_size), htobe16(NBD_FLAGS),
	};
	struct nbd_option opt;
	uint32_t flags;

	if (!hcv_send(&hello, sizeof(hello), false) ||
	    !hcv_recv(&flags, sizeof(flags)))
		return false;
	while (hcv_recv(&opt, sizeof(opt))) {
		uint32_t option = be32toh(opt.option), len = be32toh(opt.len);

		if (be64toh(opt.magic) != NBD_OPT_MAGIC || len > HCV_CHUNK ||
		    !hcv_recv(buffer, len))
			return false;
		if (option == NBD_OPT_GO)
			return hcv_option_reply(option, NBD_REP_INFO, &export,
						sizeof(export)) &&
			       hcv_option_reply(option, NBD_REP_ACK, NULL, 0);
		if (option == NBD_OPT_ABORT ||
		    !hcv_option_reply(option, NBD_REP_ERR_UNSUP, NULL, 0))
			return false;
	}
	return false;
}

/* Return: 0 or a negative errno for the reply. */
static int hcv_execute(const struct nbd_request *req)
{
	uint64_t offset = be64toh(req->offset);
	uint32_t len = be32toh(req->len);
	bool fua = (be16toh(req->flags) & NBD_CMD_FLAG_FUA) && !lies;
	enum nbd_cmd type = be16toh(req->type);

	if (type != NBD_CMD_FLUSH &&
	    (offset > disk_size || len > disk_size - offset))
		return -EINVAL;
	if (type == NBD_CMD_READ ? fail_reads : fail_writes)
		return -EIO;
	switch (type) {
	case NBD_CMD_READ:
		return hcv_pread(buffer, len, offset);
	case NBD_CMD_WRITE:
		return hcv_change(buffer, len, offset, fua);
	case NBD_CMD_TRIM:
	case NBD_CMD_WRITE_ZEROES:
		return hcv_change(NULL, len, offset, fua);
	case NBD_CMD_FLUSH:
		hcv_flush();
		return 0;
	default:
		return -EINVAL;
	}
}

static void hcv_serve(void)
{
	struct nbd_reply reply = { .magic = htobe32(NBD_REPLY_MAGIC) };
	struct nbd_request req;
	uint32_t len;
	bool read;
	int err;

	if (!hcv_recv(&req, sizeof(req)) ||
	    be32toh(req.magic) != NBD_REQUEST_MAGIC ||
	    be16toh(req.type) == NBD_CMD_DISC)
		goto out;
	len = be32toh(req.len);
	read = be16toh(req.type) == NBD_CMD_READ;
	if (read || be16toh(req.type) == NBD_CMD_WRITE) {
		if (len > HCV_REQ_MAX)
			goto out;
		if (!read && !hcv_recv(buffer, len))
			goto out;
	}
	err = hcv_execute(&req);
	reply.error = htobe32(-err);
	reply.handle = req.handle;
	if (!hcv_send(&reply, sizeof(reply), read && !err) ||
	    (read && !err && !hcv_send(buffer, len, false)))
		goto out;
	return;
out:
	hcv_disconnect();
}

static void hcv_command(char *line)
{
	bool write = strstr(line, "write"), all = strstr(line, "all");
	char *seed = strrchr(line, ' ');

	line[strcspn(line, "\n")] = 0;
	if (!strcmp(line, "cut drop")) {
		printf("ok %lu\n", hcv_cut(false, false));
	} else if (!strncmp(line, "cut random ", 11)) {
		srand48(atol(seed));
		printf("ok %lu\n", hcv_cut(true, false));
	} else if (!strncmp(line, "cut prefix ", 11)) {
		srand48(atol(seed));
		printf("ok %lu\n", hcv_cut(false, true));
	} else if (!strncmp(line, "fail ", 5)) {
		fail_reads = all || strstr(line, "read");
		fail_writes = all || write;
		printf("ok\n");
	} else if (!strncmp(line, "hold ", 5)) {
		held = !strcmp(line, "hold on");
		printf("ok\n");
	} else if (!strncmp(line, "lie ", 4)) {
		lies = !strcmp(line, "lie on");
		printf("ok\n");
	} else if (!strcmp(line, "stats")) {
		printf("ok %lu %zu %lu\n", log_entries, log_bytes, flushes);
	} else {
		printf("error unknown command\n");
	}
	fflush(stdout);
}

static int hcv_listen(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof(addr.sun_path)) {
		errno = ENAMETOOLONG;
		hcv_die(path);
	}
	strcpy(addr.sun_path, path);
	unlink(path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) ||
	    listen(fd, 4))
		hcv_die(path);
	return fd;
}

static void hcv_loop(int listener)
{
	struct pollfd fds[3];
	char line[256];

	for (;;) {
		fds[0] = (struct pollfd){ .fd = 0, .events = POLLIN };
		fds[1] = (struct pollfd){ .fd = listener, .events = POLLIN };
		fds[2] = (struct pollfd){ .fd = held ? -1 : client,
					  .events = POLLIN };
		if (poll(fds, 3, -1) < 0) {
			if (errno == EINTR)
				continue;
			hcv_die("poll");
		}
		if (fds[0].revents) {
			if (!fgets(line, sizeof(line), stdin))
				return;
			hcv_command(line);
			continue;
		}
		if (fds[1].revents) {
			hcv_disconnect();
			client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
			if (client >= 0 && !hcv_negotiate())
				hcv_disconnect();
			continue;
		}
		if (fds[2].revents)
			hcv_serve();
	}
}

int main(int argc, char **argv)
{
	struct stat st;
	int listener;

	sector = argc == 4 ? atol(argv[3]) : 0;
	if (!sector) {
		fprintf(stderr, "usage: hcv-nbd SOCKET FILE SECTOR-BYTES\n");
		return 2;
	}
	disk = open(argv[2], O_RDWR | O_CLOEXEC);
	if (disk < 0 || fstat(disk, &st))
		hcv_die(argv[2]);
	disk_size = st.st_size;
	buffer = hcv_alloc(HCV_REQ_MAX);
	setvbuf(stdin, NULL, _IONBF, 0);
	listener = hcv_listen(argv[1]);
	printf("ok\n");
	fflush(stdout);
	hcv_loop(listener);
	unlink(argv[1]);
	return 0;
}
