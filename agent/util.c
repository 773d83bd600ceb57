// SPDX-License-Identifier: GPL-2.0-only
/*
 * Log lines, errors for operators, durable files, UUIDs.
 */
#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define HCV_FILE_MAX	(16U << 20)

static bool hcv_log_debug;

int64_t hcv_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void hcv_log_debug_enable(bool on)
{
	hcv_log_debug = on;
}

void hcv_log(enum hcv_severity sev, const char *fmt, ...)
{
	/* The service manager takes <N> as a syslog priority. */
	static const char * const prio[] = { "<7>", "<6>", "<4>", "<3>" };
	char line[1024];
	va_list ap;
	int len;

	if (sev == HCV_SEV_DEBUG && !hcv_log_debug)
		return;
	len = snprintf(line, sizeof(line), "%shcivold: ", prio[sev]);
	va_start(ap, fmt);
	vsnprintf(line + len, sizeof(line) - len - 1, fmt, ap);
	va_end(ap);
	strcat(line, "\n");
	/* One write, so that lines of several threads do not mix. */
	if (write(STDERR_FILENO, line, strlen(line)) < 0)
		return;		/* nowhere left to complain to */
}

int hcv_error_meta(struct hcv_error *e, enum hcv_meta_result res,
		   const char *object)
{
	const char *why = hcv_meta_last_error();

	if (!why || !*why)
		why = "no further details";
	switch (res) {
	case HCV_META_OK:
		return 0;
	case HCV_META_CONFLICT:
		return hcv_error_set(e, HCV_E_BUSY, object, NULL,
				     "it was changed by someone else at the same time; try again");
	case HCV_META_UNKNOWN:
		return hcv_error_set(e, HCV_E_TIMEOUT, object,
				     "agentctl cluster status",
				     "the metadata store did not say whether the change was made (%s)",
				     why);
	case HCV_META_UNREACHABLE:
		return hcv_error_set(e, HCV_E_UNREACHABLE, object,
				     "agentctl cluster status",
				     "the metadata store cannot be reached (%s)",
				     why);
	case HCV_META_INVALID:
		break;
	}
	return hcv_error_set(e, HCV_E_INTERNAL, object, NULL,
			     "the metadata store refused: %s", why);
}

static enum hcv_code hcv_error_code_of(int err)
{
	switch (-err) {
	case EBUSY:
	case ESTALE:
		return HCV_E_BUSY;
	case ENOENT:
	case ENODEV:
		return HCV_E_NOTFOUND;
	case EEXIST:
		return HCV_E_EXISTS;
	case ENOSPC:
		return HCV_E_NOSPACE;
	case ETIMEDOUT:
	case EAGAIN:
		return HCV_E_TIMEOUT;
	case EIO:
	case EUCLEAN:
		return HCV_E_IO;
	case EPERM:
	case EACCES:
		return HCV_E_REFUSED;
	default:
		return HCV_E_INTERNAL;
	}
}

int hcv_error_kernel(struct hcv_error *e, int err, struct hcv_klink *k,
		     const char *object)
{
	const char *why;

	if (!k)
		return hcv_error_set(e, HCV_E_UNREACHABLE, object,
				     hcv_klink_absent() ? "modprobe hcivol" :
							  NULL,
				     "%s", hcv_klink_error(NULL));
	why = hcv_klink_error(k);
	return hcv_error_set(e, hcv_error_code_of(err), object, NULL, "%s%s%s",
			     why && *why ? why : "", why && *why ? ": " : "",
			     strerror(-err));
}

static int hcv_fsync_dir(const char *path)
{
	char dir[PATH_MAX];
	int fd, ret = 0;

	snprintf(dir, sizeof(dir), "%s", path);
	fd = open(dirname(dir), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fsync(fd) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

static int hcv_write_all(int fd, const char *p, size_t len)
{
	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= n;
	}
	return 0;
}

int hcv_file_write(const char *path, const void *data, size_t len)
{
	char tmp[PATH_MAX];
	int fd, ret;

	if (snprintf(tmp, sizeof(tmp), "%s.new", path) >= (int)sizeof(tmp))
		return -ENAMETOOLONG;
	fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	ret = hcv_write_all(fd, data, len);
	if (!ret && fsync(fd) < 0)
		ret = -errno;
	if (close(fd) < 0 && !ret)
		ret = -errno;
	if (!ret && rename(tmp, path) < 0)
		ret = -errno;
	if (ret) {
		unlink(tmp);
		return ret;
	}
	return hcv_fsync_dir(path);
}

int hcv_file_remove(const char *path)
{
	if (unlink(path) < 0)
		return errno == ENOENT ? 0 : -errno;
	return hcv_fsync_dir(path);
}

char *hcv_file_read(const char *path)
{
	size_t len = 0, size = 4096;
	char *buf, *more;
	ssize_t n;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	buf = malloc(size);
	while (buf) {
		n = read(fd, buf + len, size - len - 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		len += n;
		if (len + 1 < size)
			continue;
		more = size < HCV_FILE_MAX ? realloc(buf, size * 2) : NULL;
		if (!more) {
			errno = size < HCV_FILE_MAX ? ENOMEM : EFBIG;
			n = -1;
			break;
		}
		buf = more;
		size *= 2;
	}
	if (buf && n < 0) {
		int err = errno;

		free(buf);
		buf = NULL;
		errno = err;
	}
	if (buf)
		buf[len] = '\0';
	n = errno;
	close(fd);
	errno = n;
	return buf;
}

int hcv_uuid_new(char out[HCV_ID_LEN])
{
	uint8_t b[16];
	ssize_t n;

	do {
		n = getrandom(b, sizeof(b), 0);
	} while (n < 0 && errno == EINTR);
	if (n != (ssize_t)sizeof(b))
		return n < 0 ? -errno : -EIO;
	b[6] = (b[6] & 0x0f) | 0x40;
	b[8] = (b[8] & 0x3f) | 0x80;
	snprintf(out, HCV_ID_LEN,
		 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
		 b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9],
		 b[10], b[11], b[12], b[13], b[14], b[15]);
	return 0;
}
