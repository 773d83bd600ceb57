// SPDX-License-Identifier: GPL-2.0-only
/*
 * First process of a test guest: runs commands for the host.
 *
 * How it works
 *
 * The host reaches the guest over a virtio-serial port, so that a test may cut
 * or break the network as it likes. Both directions carry frames (struct
 * hcv_frame, little endian, then len bytes):
 *
 *   host to guest   RUN     shell script to start under a new id; flag PTY: on
 *                           a terminal; flag STDIN: its input will follow
 *                   STDIN   input for the id; no bytes: end of input
 *                   SIGNAL  le32 signal number for the id's process group
 *                   HALT    end the machine at once; flag SYNC: sync first
 *   guest to host   HELLO   once, when ready
 *                   OUT/ERR what the id printed
 *                   EXIT    le32 wait status; the last frame of this id
 *
 * Any number of commands runs at the same time. EXIT follows as soon as the
 * command itself has ended and its pipes are empty; what it left running in
 * the background may go on writing, to nowhere. The host keeps all time
 * limits: its clock does not jump when the guest is frozen.
 *
 * One loop over poll(): hcv_port_read() takes frames apart, hcv_cmd_read()
 * passes output on, hcv_reap() collects children (all of the guest's orphans
 * too, as process 1). When the host does not take its data, output stays in
 * the pipes (hcv_tx_full()).
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define HCV_MAGIC	0x47564348	/* "HCVG" */
#define HCV_PORT	"hcv.cmd"
#define HCV_RX_MAX	(16U << 20)
#define HCV_TX_FULL	(1U << 20)

enum hcv_frame_type {
	HCV_RUN = 1,
	HCV_STDIN,
	HCV_SIGNAL,
	HCV_HALT,
	HCV_HELLO,
	HCV_OUT,
	HCV_ERR,
	HCV_EXIT,
};

#define HCV_F_PTY	1	/* RUN: on a terminal of its own */
#define HCV_F_STDIN	2	/* RUN: STDIN frames follow */
#define HCV_F_SYNC	1	/* HALT: sync first */
#define HCV_F_OFF	2	/* HALT: power off, not restart */

struct hcv_frame {
	uint32_t magic;
	uint32_t id;
	uint16_t type;
	uint16_t flags;
	uint32_t len;
};

struct hcv_buf {
	char *data;
	size_t len;
	size_t cap;
};

struct hcv_cmd {
	struct hcv_cmd *next;
	uint32_t id;
	pid_t pid;		/* also its process group */
	int in, out, err;	/* -1 = closed; the same fd on a terminal */
	bool in_eof;		/* close in once inbuf is empty */
	bool exited;
	bool reported;		/* EXIT sent: output goes nowhere */
	int status;
	struct hcv_buf inbuf;
};

static struct hcv_cmd *cmds;
static struct hcv_buf rx, tx;
static int port = -1;

static void hcv_log(const char *fmt, ...)
	__attribute__((format(printf, 1, 2)));

static void hcv_log(const char *fmt, ...)
{
	FILE *kmsg = fopen("/dev/kmsg", "w");
	va_list args;

	if (!kmsg)
		return;
	va_start(args, fmt);
	fputs("<3>hcv-guestd: ", kmsg);
	vfprintf(kmsg, fmt, args);
	va_end(args);
	fclose(kmsg);
}

static void hcv_die(const char *what)
{
	hcv_log("%s: %s\n", what, strerror(errno));
	reboot(RB_AUTOBOOT);
	_exit(1);
}

/* Process 1 must not go on with half a message: out of memory ends the guest. */
static void hcv_buf_add(struct hcv_buf *buf, const void *data, size_t len)
{
	if (buf->len + len > buf->cap) {
		size_t cap = buf->cap ? buf->cap : 65536;
		char *grown;

		while (cap < buf->len + len)
			cap *= 2;
		grown = realloc(buf->data, cap);
		if (!grown)
			hcv_die("out of memory");
		buf->data = grown;
		buf->cap = cap;
	}
	memcpy(buf->data + buf->len, data, len);
	buf->len += len;
}

static void hcv_buf_drop(struct hcv_buf *buf, size_t len)
{
	memmove(buf->data, buf->data + len, buf->len - len);
	buf->len -= len;
}

static bool hcv_tx_full(void)
{
	return tx.len > HCV_TX_FULL;
}

static void hcv_send(uint32_t id, uint16_t type, const void *data, size_t len)
{
	struct hcv_frame frame = {
		.magic = htole32(HCV_MAGIC),
		.id = htole32(id),
		.type = htole16(type),
		.len = htole32(len),
	};

	hcv_buf_add(&tx, &frame, sizeof(frame));
	hcv_buf_add(&tx, data, len);
}

static void hcv_flush_tx(void)
{
	ssize_t n;

	while (tx.len) {
		n = write(port, tx.data, tx.len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0)
			hcv_die("cannot write to the port");
		hcv_buf_drop(&tx, n);
	}
}

static void hcv_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static struct hcv_cmd *hcv_cmd_find(uint32_t id)
{
	struct hcv_cmd *cmd;

	for (cmd = cmds; cmd; cmd = cmd->next)
		if (cmd->id == id && !cmd->reported)
			return cmd;
	return NULL;
}

static void hcv_cmd_exec(const char *script)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	execl("/bin/bash", "bash", "-c", script, (char *)NULL);
	dprintf(2, "cannot run /bin/bash: %s\n", strerror(errno));
	_exit(127);
}

/* Return: the child's pid, or -1 with errno set. */
static pid_t hcv_cmd_fork_pty(struct hcv_cmd *cmd, const char *script)
{
	int master;
	pid_t pid = forkpty(&master, NULL, NULL, NULL);

	if (pid < 0)
		return -1;
	if (!pid)
		hcv_cmd_exec(script);
	fcntl(master, F_SETFL, O_NONBLOCK);
	fcntl(master, F_SETFD, FD_CLOEXEC);
	cmd->out = master;
	cmd->in = master;
	return pid;
}

/* Return: the child's pid, or -1 with errno set. */
static pid_t hcv_cmd_fork(struct hcv_cmd *cmd, const char *script, bool input)
{
	int in[2] = { -1, -1 }, out[2] = { -1, -1 }, err[2] = { -1, -1 };
	pid_t pid = -1;

	if (!input)
		in[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	else if (pipe2(in, O_CLOEXEC))
		goto err_close;
	if (in[0] < 0 || pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC))
		goto err_close;
	pid = fork();
	if (pid < 0)
		goto err_close;
	if (!pid) {
		setsid();
		dup2(in[0], 0);
		dup2(out[1], 1);
		dup2(err[1], 2);
		hcv_cmd_exec(script);
	}
	close(in[0]);
	close(out[1]);
	close(err[1]);
	fcntl(out[0], F_SETFL, O_NONBLOCK);
	fcntl(err[0], F_SETFL, O_NONBLOCK);
	if (input)
		fcntl(in[1], F_SETFL, O_NONBLOCK);
	cmd->in = in[1];
	cmd->out = out[0];
	cmd->err = err[0];
	return pid;

err_close:
	hcv_close(&in[0]);
	hcv_close(&in[1]);
	hcv_close(&out[0]);
	hcv_close(&out[1]);
	hcv_close(&err[0]);
	hcv_close(&err[1]);
	return -1;
}

static void hcv_exit_report(uint32_t id, int status)
{
	uint32_t le = htole32(status);

	hcv_send(id, HCV_EXIT, &le, sizeof(le));
}

static void hcv_cmd_start(uint32_t id, uint16_t flags, char *script)
{
	struct hcv_cmd *cmd = calloc(1, sizeof(*cmd));

	if (!cmd)
		hcv_die("out of memory");
	cmd->id = id;
	cmd->in = -1;
	cmd->out = -1;
	cmd->err = -1;
	if (flags & HCV_F_PTY)
		cmd->pid = hcv_cmd_fork_pty(cmd, script);
	else
		cmd->pid = hcv_cmd_fork(cmd, script, flags & HCV_F_STDIN);
	if (cmd->pid < 0) {
		hcv_log("cannot start a command: %s\n", strerror(errno));
		hcv_exit_report(id, W_EXITCODE(126, 0));
		free(cmd);
		return;
	}
	cmd->next = cmds;
	cmds = cmd;
}

static void hcv_cmd_feed(struct hcv_cmd *cmd)
{
	ssize_t n;

	while (cmd->in >= 0 && cmd->inbuf.len) {
		n = write(cmd->in, cmd->inbuf.data, cmd->inbuf.len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0)
			n = cmd->inbuf.len;	/* nobody reads it any more */
		hcv_buf_drop(&cmd->inbuf, n);
	}
	if (cmd->in_eof && cmd->in != cmd->out)
		hcv_close(&cmd->in);
}

/* Pass on what a pipe holds; closes it at its end. */
static void hcv_cmd_read(struct hcv_cmd *cmd, int *fd, uint16_t type)
{
	static char buf[65536];
	ssize_t n;

	while (*fd >= 0 && !hcv_tx_full()) {
		n = read(*fd, buf, sizeof(buf));
		if (n > 0) {
			if (!cmd->reported)
				hcv_send(cmd->id, type, buf, n);
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (cmd->in == *fd)
			cmd->in = -1;
		hcv_close(fd);	/* end, or EIO of a terminal */
	}
}

static void hcv_reap(void)
{
	struct hcv_cmd *cmd;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (cmd = cmds; cmd; cmd = cmd->next) {
			if (cmd->pid == pid && !cmd->exited) {
				cmd->exited = true;
				cmd->status = status;
			}
		}
	}
}

/* Report ended commands, forget those whose pipes are closed as well. */
static void hcv_cmds_settle(void)
{
	struct hcv_cmd **link = &cmds, *cmd;

	while ((cmd = *link)) {
		if (cmd->exited && !cmd->reported) {
			hcv_cmd_read(cmd, &cmd->out, HCV_OUT);
			hcv_cmd_read(cmd, &cmd->err, HCV_ERR);
			if (!hcv_tx_full()) {
				hcv_exit_report(cmd->id, cmd->status);
				cmd->reported = true;
				if (cmd->in != cmd->out)
					hcv_close(&cmd->in);
			}
		}
		if (cmd->reported && cmd->out < 0 && cmd->err < 0) {
			*link = cmd->next;
			free(cmd->inbuf.data);
			free(cmd);
			continue;
		}
		link = &cmd->next;
	}
}

/*
 * Who sends while virtio devices are broken at their shutdown may spin in the
 * driver, and the guest never goes off: mended in Linux by 0d0eff39ceb3, "virtio_ring:
 * fix infinite loop in virtnet_poll_cleantx when device is broken".
 */
static void hcv_links_down(void)
{
	struct if_nameindex *list = if_nameindex(), *i;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq req;

	for (i = list; fd >= 0 && i && i->if_name; i++) {
		memset(&req, 0, sizeof(req));
		snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", i->if_name);
		/* One that is not there any more cannot send. */
		ioctl(fd, SIOCSIFFLAGS, &req);
	}
	if (list)
		if_freenameindex(list);
	if (fd >= 0)
		close(fd);
}

static void hcv_halt(uint16_t flags)
{
	if (flags & HCV_F_SYNC)
		sync();
	hcv_links_down();
	reboot(flags & HCV_F_OFF ? RB_POWER_OFF : RB_AUTOBOOT);
	hcv_die("reboot");
}

static void hcv_frame_handle(const struct hcv_frame *frame, char *data)
{
	uint32_t id = le32toh(frame->id), len = le32toh(frame->len), signo;
	struct hcv_cmd *cmd = hcv_cmd_find(id);

	switch (le16toh(frame->type)) {
	case HCV_RUN:
		hcv_cmd_start(id, le16toh(frame->flags), data);
		break;
	case HCV_STDIN:
		if (!cmd)
			break;
		hcv_buf_add(&cmd->inbuf, data, len);
		if (!len)
			cmd->in_eof = true;
		hcv_cmd_feed(cmd);
		break;
	case HCV_SIGNAL:
		if (!cmd || len != sizeof(signo))
			break;
		memcpy(&signo, data, sizeof(signo));
		kill(-cmd->pid, le32toh(signo));
		break;
	case HCV_HALT:
		hcv_halt(le16toh(frame->flags));
		break;
	default:
		hcv_log("unknown frame %u\n", le16toh(frame->type));
	}
}

static void hcv_port_read(void)
{
	static char buf[65536];
	struct hcv_frame frame;
	ssize_t n = read(port, buf, sizeof(buf));
	char *copy;
	uint32_t len;

	if (n < 0 && errno != EAGAIN && errno != EINTR)
		hcv_die("cannot read the port");
	if (n > 0)
		hcv_buf_add(&rx, buf, n);
	while (rx.len >= sizeof(frame)) {
		memcpy(&frame, rx.data, sizeof(frame));
		len = le32toh(frame.len);
		errno = EPROTO;
		if (le32toh(frame.magic) != HCV_MAGIC || len > HCV_RX_MAX)
			hcv_die("bad frame");
		if (rx.len < sizeof(frame) + len)
			return;
		copy = malloc(len + 1);
		if (!copy)
			hcv_die("out of memory");
		memcpy(copy, rx.data + sizeof(frame), len);
		copy[len] = 0;
		hcv_buf_drop(&rx, sizeof(frame) + len);
		hcv_frame_handle(&frame, copy);
		free(copy);
	}
}

/* Return: the port's fd; the guest ends when it has none. */
static int hcv_port_open(void)
{
	const char *dir = "/sys/class/virtio-ports";
	struct dirent *entry;
	char path[512], name[64];
	DIR *ports = opendir(dir);
	FILE *file;
	int fd = -1;

	if (!ports)
		hcv_die(dir);
	while (fd < 0 && (entry = readdir(ports))) {
		snprintf(path, sizeof(path), "%s/%s/name", dir, entry->d_name);
		file = fopen(path, "r");
		if (!file)
			continue;
		if (!fgets(name, sizeof(name), file))
			name[0] = 0;
		fclose(file);
		name[strcspn(name, "\n")] = 0;
		if (strcmp(name, HCV_PORT))
			continue;
		snprintf(path, sizeof(path), "/dev/%s", entry->d_name);
		fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	}
	closedir(ports);
	if (fd < 0)
		hcv_die("no port " HCV_PORT);
	return fd;
}

static int hcv_sigchld_open(void)
{
	sigset_t mask;
	int fd;

	sigemptyset(&mask);
	sigaddset(&mask, SIGCHLD);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	signal(SIGPIPE, SIG_IGN);
	fd = signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC);
	if (fd < 0)
		hcv_die("signalfd");
	return fd;
}

static void hcv_poll_add(struct pollfd *fds, int *nr, int max, int fd,
			 short events)
{
	if (fd >= 0 && events && *nr < max)
		fds[(*nr)++] = (struct pollfd){ .fd = fd, .events = events };
}

#define HCV_POLL_MAX	1024

static void hcv_wait(int sigfd)
{
	static struct pollfd fds[HCV_POLL_MAX];
	short want = hcv_tx_full() ? 0 : POLLIN;
	struct signalfd_siginfo info;
	struct hcv_cmd *cmd;
	int nr = 0;

	hcv_poll_add(fds, &nr, HCV_POLL_MAX, port,
		     tx.len ? POLLIN | POLLOUT : POLLIN);
	hcv_poll_add(fds, &nr, HCV_POLL_MAX, sigfd, POLLIN);
	for (cmd = cmds; cmd; cmd = cmd->next) {
		hcv_poll_add(fds, &nr, HCV_POLL_MAX, cmd->out, want);
		hcv_poll_add(fds, &nr, HCV_POLL_MAX, cmd->err, want);
		hcv_poll_add(fds, &nr, HCV_POLL_MAX, cmd->in,
			     cmd->inbuf.len ? POLLOUT : 0);
	}
	if (poll(fds, nr, -1) < 0 && errno != EINTR)
		hcv_die("poll");
	while (read(sigfd, &info, sizeof(info)) > 0)
		;
}

int main(void)
{
	int sigfd = hcv_sigchld_open();
	struct hcv_cmd *cmd;

	port = hcv_port_open();
	hcv_send(0, HCV_HELLO, NULL, 0);
	for (;;) {
		hcv_flush_tx();
		hcv_wait(sigfd);
		hcv_port_read();
		hcv_reap();
		for (cmd = cmds; cmd; cmd = cmd->next) {
			hcv_cmd_feed(cmd);
			hcv_cmd_read(cmd, &cmd->out, HCV_OUT);
			hcv_cmd_read(cmd, &cmd->err, HCV_ERR);
		}
		hcv_cmds_settle();
	}
}
