// SPDX-License-Identifier: GPL-2.0-only
/*
 * The metadata store of a single node: one SQLite file.
 *
 * Revisions are etcd's: each transaction that changes something gets the next
 * number of one counter.  WAL with synchronous=FULL: what was answered OK
 * survives a power cut.
 *
 * A file belongs to one process, which holds a lock on FILE.lock for as long
 * as it has handles; they share one connection under one lock.  So leases and
 * watches can live in memory (meta_local.c), and keys bound to leases of a
 * process that died are deleted when the next one opens the file.  Readers
 * such as the sqlite3 shell (.backup) may come and go; if one of them writes,
 * watches end, which makes everybody read again.
 */
#include "meta-int.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "meta_local.h"

#define APPLICATION_ID	0x48435631	/* "HCV1" */
#define SCHEMA_VERSION	1
#define POLL_MS		1000
#define BUSY_MS		1000

enum stmt {
	ST_BEGIN, ST_COMMIT, ST_ROLLBACK, ST_GET, ST_LIST, ST_PUT, ST_DELETE,
	ST_LEASED, ST_UNLEASE, ST_REV, ST_SET_REV, ST_VERSION, NR_STMTS
};

static const char *const stmt_sql[NR_STMTS] = {
	[ST_BEGIN] = "BEGIN IMMEDIATE",
	[ST_COMMIT] = "COMMIT",
	[ST_ROLLBACK] = "ROLLBACK",
	[ST_GET] = "SELECT value, rev FROM kv WHERE key = ?1",
	[ST_LIST] = "SELECT key, value, rev FROM kv WHERE key >= ?1 ORDER BY key",
	[ST_PUT] = "INSERT OR REPLACE INTO kv(key, value, rev, lease) VALUES(?1, ?2, ?3, ?4)",
	[ST_DELETE] = "DELETE FROM kv WHERE key = ?1",
	[ST_LEASED] = "SELECT key FROM kv WHERE lease = ?1",
	[ST_UNLEASE] = "DELETE FROM kv WHERE lease = ?1",
	[ST_REV] = "SELECT rev FROM counter",
	[ST_SET_REV] = "UPDATE counter SET rev = ?1",
	[ST_VERSION] = "PRAGMA data_version",
};

static const char *const schema_sql[] = {
	"BEGIN IMMEDIATE",
	"CREATE TABLE kv(key TEXT PRIMARY KEY, value TEXT NOT NULL, rev INTEGER NOT NULL, lease INTEGER NOT NULL) WITHOUT ROWID",
	"CREATE INDEX kv_lease ON kv(lease) WHERE lease <> 0",
	"CREATE TABLE counter(one INTEGER PRIMARY KEY CHECK(one = 1), rev INTEGER NOT NULL)",
	"INSERT INTO counter(one, rev) VALUES(1, 1)",
};

static const char count_leased_sql[] =
	"UPDATE counter SET rev = rev + 1 WHERE EXISTS (SELECT 1 FROM kv WHERE lease <> 0)";

struct sqlite_file {
	struct hcv_local local;		/* first: see drop_lease() */
	struct sqlite_file *next;
	unsigned int users;		/* files_lock */
	dev_t dev;
	ino_t ino;
	int lock_fd;
	char *path;
	sqlite3 *db;
	sqlite3_stmt *stmt[NR_STMTS];
	int64_t data_version;
};

struct sqlite_meta {
	struct hcv_meta meta;
	struct hcv_local_client client;
	struct sqlite_file *file;
};

/* Opening and closing, rare, happen under it from start to end. */
static pthread_mutex_t files_lock = PTHREAD_MUTEX_INITIALIZER;
static struct sqlite_file *files;

static struct sqlite_file *to_file(struct hcv_meta *m)
{
	return ((struct sqlite_meta *)m)->file;
}

/* The sentence for the last failure of @f->db; @res unless it is damaged. */
static enum hcv_meta_result fail_db(struct sqlite_file *f,
				    enum hcv_meta_result res)
{
	const char *why = f->db ? sqlite3_errmsg(f->db) : "out of memory";
	int code = f->db ? sqlite3_extended_errcode(f->db) : SQLITE_NOMEM;

	switch (code & 0xff) {
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return hcv_meta_fail(HCV_META_INVALID,
				     "metadata file %s is damaged (%s): stop hcivold, keep a copy, then put a backup in its place or rebuild it with: sqlite3 %s .recover | sqlite3 NEW",
				     f->path, why, f->path);
	case SQLITE_FULL:
		return hcv_meta_fail(res,
				     "metadata file %s cannot grow (%s): make room on its file system",
				     f->path, why);
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return hcv_meta_fail(res,
				     "metadata file %s is locked by another program, such as sqlite3: end it",
				     f->path);
	case SQLITE_IOERR:
		return hcv_meta_fail(res,
				     "metadata file %s: %s (code %d): see the kernel's log for its disk",
				     f->path, why, code);
	default:
		return hcv_meta_fail(res, "metadata file %s: %s (code %d)",
				     f->path, why, code);
	}
}

static enum hcv_meta_result no_memory(void)
{
	return hcv_meta_fail(HCV_META_UNREACHABLE, "out of memory");
}

static sqlite3_stmt *stmt_text(struct sqlite_file *f, enum stmt n,
			       const char *text)
{
	sqlite3_bind_text(f->stmt[n], 1, text, -1, SQLITE_STATIC);
	return f->stmt[n];
}

static sqlite3_stmt *stmt_int(struct sqlite_file *f, enum stmt n,
			      int64_t value)
{
	sqlite3_bind_int64(f->stmt[n], 1, value);
	return f->stmt[n];
}

/* Run a statement that gives no rows. */
static int run(sqlite3_stmt *st)
{
	int ret = sqlite3_step(st);

	/* Reset first frees the locks, then repeats the step's error. */
	sqlite3_reset(st);
	return ret == SQLITE_DONE ? SQLITE_OK : ret;
}

static int read_int(struct sqlite_file *f, enum stmt n, int64_t *value)
{
	int ret = sqlite3_step(f->stmt[n]);

	if (ret == SQLITE_ROW)
		*value = sqlite3_column_int64(f->stmt[n], 0);
	sqlite3_reset(f->stmt[n]);
	if (ret == SQLITE_DONE)
		ret = SQLITE_CORRUPT;
	return ret == SQLITE_ROW ? SQLITE_OK : ret;
}

static void rollback(struct sqlite_file *f)
{
	if (!sqlite3_get_autocommit(f->db))
		run(f->stmt[ST_ROLLBACK]);
}

/*
 * After a COMMIT that failed for lack of a lock or of room nothing happened.
 * After an I/O error the log may hold it or not, until the next recovery.
 */
static enum hcv_meta_result commit(struct sqlite_file *f)
{
	enum hcv_meta_result res;
	int ret = run(f->stmt[ST_COMMIT]);

	if (ret == SQLITE_OK)
		return HCV_META_OK;
	res = fail_db(f, (ret & 0xff) == SQLITE_IOERR ? HCV_META_UNKNOWN :
							HCV_META_UNREACHABLE);
	rollback(f);
	return res;
}

static enum hcv_meta_result begin(struct sqlite_file *f)
{
	int64_t rev = 0;

	if (run(f->stmt[ST_BEGIN]) != SQLITE_OK)
		return fail_db(f, HCV_META_UNREACHABLE);
	/* Read anew: the file may have been written to by hand. */
	if (read_int(f, ST_REV, &rev) != SQLITE_OK) {
		enum hcv_meta_result res = fail_db(f, HCV_META_UNREACHABLE);

		rollback(f);
		return res;
	}
	f->local.rev = rev;
	return HCV_META_OK;
}

/* Log the keys of a lease as changed, which is what deletes them next. */
static int log_leased(struct sqlite_file *f, int64_t lease, size_t *nr)
{
	sqlite3_stmt *st = stmt_int(f, ST_LEASED, lease);
	int ret;

	*nr = 0;
	while ((ret = sqlite3_step(st)) == SQLITE_ROW) {
		hcv_local_changed(&f->local,
				  (const char *)sqlite3_column_text(st, 0));
		++*nr;
	}
	sqlite3_reset(st);
	return ret == SQLITE_DONE ? SQLITE_OK : ret;
}

static enum hcv_meta_result drop_lease(struct hcv_local *l, int64_t lease)
{
	struct sqlite_file *f = (struct sqlite_file *)l;
	enum hcv_meta_result res;
	int64_t rev;
	size_t nr;

	res = begin(f);
	if (res != HCV_META_OK)
		return res;
	rev = l->rev++;
	/* Should this fail, the log of changes wakes watches for nothing. */
	if (log_leased(f, lease, &nr) != SQLITE_OK ||
	    run(stmt_int(f, ST_UNLEASE, lease)) != SQLITE_OK ||
	    run(stmt_int(f, ST_SET_REV, l->rev)) != SQLITE_OK) {
		res = fail_db(f, HCV_META_UNREACHABLE);
		nr = 0;
	}
	if (nr)
		res = commit(f);
	else
		rollback(f);
	if (!nr || res != HCV_META_OK)
		l->rev = rev;
	/* It is tried again before anything is read. */
	return res == HCV_META_UNKNOWN ? HCV_META_UNREACHABLE : res;
}

static void poll_outside(struct hcv_local *l)
{
	struct sqlite_file *f = (struct sqlite_file *)l;
	int64_t version = 0;

	/* An error here is seen by whoever reads or writes next. */
	if (read_int(f, ST_VERSION, &version) != SQLITE_OK ||
	    version == f->data_version)
		return;
	f->data_version = version;
	if (read_int(f, ST_REV, &version) == SQLITE_OK)
		l->rev = version;
	hcv_local_changed_outside(l);
}

static bool exec(struct sqlite_file *f, const char *sql)
{
	return sqlite3_exec(f->db, sql, NULL, NULL, NULL) == SQLITE_OK;
}

static int pragma_int(struct sqlite_file *f, const char *sql, int64_t *value)
{
	sqlite3_stmt *st;
	int ret;

	ret = sqlite3_prepare_v2(f->db, sql, -1, &st, NULL);
	if (ret != SQLITE_OK)
		return ret;
	ret = sqlite3_step(st);
	if (ret == SQLITE_ROW)
		*value = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return ret == SQLITE_ROW ? SQLITE_OK : ret;
}

static bool create_schema(struct sqlite_file *f)
{
	char sql[128];
	bool ok = true;
	size_t i;

	for (i = 0; i < sizeof(schema_sql) / sizeof(schema_sql[0]); i++)
		ok = ok && exec(f, schema_sql[i]);
	snprintf(sql, sizeof(sql),
		 "PRAGMA application_id=%d; PRAGMA user_version=%d; COMMIT",
		 APPLICATION_ID, SCHEMA_VERSION);
	if (ok && exec(f, sql))
		return true;
	fail_db(f, HCV_META_INVALID);
	sqlite3_exec(f->db, "ROLLBACK", NULL, NULL, NULL);
	return false;
}

/* Ours, somebody else's, or new? */
static bool check_schema(struct sqlite_file *f)
{
	int64_t app, version, tables;

	if (pragma_int(f, "PRAGMA application_id", &app) ||
	    pragma_int(f, "PRAGMA user_version", &version) ||
	    pragma_int(f, "SELECT count(*) FROM sqlite_master", &tables)) {
		fail_db(f, HCV_META_INVALID);
		return false;
	}
	if (!app && !version && !tables)
		return create_schema(f);
	if (app != APPLICATION_ID) {
		hcv_meta_fail(HCV_META_INVALID,
			      "%s is a database of another program: choose another path for the metadata file",
			      f->path);
		return false;
	}
	if (version != SCHEMA_VERSION) {
		hcv_meta_fail(HCV_META_INVALID,
			      "metadata file %s has version %lld, this hcivold knows %d: install a newer hcivol",
			      f->path, (long long)version, SCHEMA_VERSION);
		return false;
	}
	return true;
}

static int check_row(void *arg, int nr, char **text, char **names)
{
	struct sqlite_file *f = arg;

	(void)names;
	if (nr != 1 || !text[0] || strcmp(text[0], "ok"))
		hcv_meta_fail(HCV_META_INVALID,
			      "metadata file %s is damaged (%s): stop hcivold, keep a copy, then put a backup in its place or rebuild it with: sqlite3 %s .recover | sqlite3 NEW",
			      f->path, nr && text[0] ? text[0] : "unreadable",
			      f->path);
	return nr != 1 || !text[0] || strcmp(text[0], "ok");
}

/* Opened and checked; keys of leases of earlier processes are gone. */
static bool open_db(struct sqlite_file *f)
{
	int ret;
	int i;

	ret = sqlite3_open_v2(f->path, &f->db,
			      SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
			      NULL);
	if (ret != SQLITE_OK) {
		fail_db(f, HCV_META_INVALID);
		return false;
	}
	sqlite3_extended_result_codes(f->db, 1);
	sqlite3_busy_timeout(f->db, BUSY_MS);
	if (!exec(f, "PRAGMA journal_mode=WAL") ||
	    !exec(f, "PRAGMA synchronous=FULL") ||
	    !exec(f, "PRAGMA trusted_schema=OFF")) {
		fail_db(f, HCV_META_INVALID);
		return false;
	}
	ret = sqlite3_exec(f->db, "PRAGMA quick_check(1)", check_row, f, NULL);
	if (ret != SQLITE_OK) {
		if (ret != SQLITE_ABORT)
			fail_db(f, HCV_META_INVALID);
		return false;
	}
	if (!check_schema(f))
		return false;
	for (i = 0; i < NR_STMTS; i++) {
		ret = sqlite3_prepare_v3(f->db, stmt_sql[i], -1,
					 SQLITE_PREPARE_PERSISTENT,
					 &f->stmt[i], NULL);
		if (ret != SQLITE_OK) {
			fail_db(f, HCV_META_INVALID);
			return false;
		}
	}
	if (!exec(f, "BEGIN IMMEDIATE") || !exec(f, count_leased_sql) ||
	    !exec(f, "DELETE FROM kv WHERE lease <> 0; COMMIT") ||
	    read_int(f, ST_REV, &f->local.rev) ||
	    read_int(f, ST_VERSION, &f->data_version)) {
		fail_db(f, HCV_META_INVALID);
		return false;
	}
	f->local.floor = f->local.rev;
	return true;
}

static void close_db(struct sqlite_file *f)
{
	int i;

	for (i = 0; i < NR_STMTS; i++)
		sqlite3_finalize(f->stmt[i]);
	sqlite3_close(f->db);
}

static void file_free(struct sqlite_file *f)
{
	close_db(f);
	if (f->lock_fd >= 0)
		close(f->lock_fd);
	hcv_local_exit(&f->local);
	free(f->path);
	free(f);
}

static bool lock_path(struct sqlite_file *f)
{
	size_t len = strlen(f->path) + sizeof(".lock");
	char *path = malloc(len);

	if (!path) {
		no_memory();
		return false;
	}
	snprintf(path, len, "%s.lock", f->path);
	f->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
			  0600);
	if (f->lock_fd < 0) {
		hcv_meta_fail(HCV_META_INVALID, "cannot open %s: %s", path,
			      strerror(errno));
		free(path);
		return false;
	}
	free(path);
	if (flock(f->lock_fd, LOCK_EX | LOCK_NB)) {
		hcv_meta_fail(HCV_META_INVALID,
			      "metadata file %s is in use by another process: is hcivold running already?",
			      f->path);
		return false;
	}
	return true;
}

/* The file exists afterwards, readable for its owner only. */
static bool touch(const char *path, struct stat *st)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0600);
	int ret;

	if (fd < 0) {
		hcv_meta_fail(HCV_META_INVALID,
			      "cannot open metadata file %s: %s", path,
			      strerror(errno));
		return false;
	}
	ret = fstat(fd, st);
	close(fd);
	if (!ret && S_ISREG(st->st_mode))
		return true;
	hcv_meta_fail(HCV_META_INVALID, "metadata file %s is not a file",
		      path);
	return false;
}

static struct sqlite_file *file_alloc(const char *path, const struct stat *st)
{
	struct sqlite_file *f = calloc(1, sizeof(*f));

	if (!f || hcv_local_init(&f->local)) {
		free(f);
		no_memory();
		return NULL;
	}
	f->local.drop = drop_lease;
	f->local.poll = poll_outside;
	f->local.poll_ms = POLL_MS;
	f->lock_fd = -1;
	f->dev = st->st_dev;
	f->ino = st->st_ino;
	f->path = realpath(path, NULL);
	if (!f->path)
		no_memory();
	else if (lock_path(f) && open_db(f))
		return f;
	file_free(f);
	return NULL;
}

static struct sqlite_file *file_get(const char *path)
{
	struct sqlite_file *f;
	struct stat st;

	if (!touch(path, &st))
		return NULL;
	for (f = files; f; f = f->next)
		if (f->dev == st.st_dev && f->ino == st.st_ino)
			break;
	if (!f) {
		f = file_alloc(path, &st);
		if (!f)
			return NULL;
		f->next = files;
		files = f;
	}
	f->users++;
	return f;
}

static struct hcv_meta *sqlite_open(const char *arg, char **err)
{
	struct sqlite_meta *m = calloc(1, sizeof(*m));

	if (!m) {
		no_memory();
	} else if (!*arg) {
		hcv_meta_fail(HCV_META_INVALID,
			      "\"sqlite:\" lacks the path of the metadata file");
	} else {
		pthread_mutex_lock(&files_lock);
		m->file = file_get(arg);
		pthread_mutex_unlock(&files_lock);
	}
	if (!m || !m->file) {
		free(m);
		*err = hcv_meta_strdup_error();
		return NULL;
	}
	m->meta.ops = &hcv_meta_sqlite_ops;
	return &m->meta;
}

static void sqlite_close(struct hcv_meta *meta)
{
	struct sqlite_meta *m = (struct sqlite_meta *)meta;
	struct sqlite_file *f = m->file;
	struct sqlite_file **at;

	pthread_mutex_lock(&f->local.lock);
	hcv_local_client_gone(&f->local, &m->client);
	hcv_local_unlock(&f->local);
	pthread_mutex_lock(&files_lock);
	if (!--f->users) {
		for (at = &files; *at != f; at = &(*at)->next)
			;
		*at = f->next;
		file_free(f);
	}
	pthread_mutex_unlock(&files_lock);
	free(m);
}

static const char *column_text(sqlite3_stmt *st, int column)
{
	const unsigned char *text = sqlite3_column_text(st, column);

	return text ? (const char *)text : "";
}

static enum hcv_meta_result sqlite_get(struct hcv_meta *meta, const char *key,
				       struct hcv_kv *kv, int64_t deadline)
{
	struct sqlite_file *f = to_file(meta);
	enum hcv_meta_result res = hcv_local_lock(&f->local, deadline);
	sqlite3_stmt *st;
	int ret;

	if (res != HCV_META_OK)
		return res;
	st = stmt_text(f, ST_GET, key);
	ret = sqlite3_step(st);
	if (ret == SQLITE_ROW) {
		kv->key = strdup(key);
		kv->value = strdup(column_text(st, 0));
		kv->rev = sqlite3_column_int64(st, 1);
		if (!kv->key || !kv->value) {
			hcv_kv_free(kv);
			res = no_memory();
		}
	} else if (ret != SQLITE_DONE) {
		res = fail_db(f, HCV_META_UNREACHABLE);
	}
	sqlite3_reset(st);
	hcv_local_unlock(&f->local);
	return res;
}

static enum hcv_meta_result do_list(struct sqlite_file *f, const char *prefix,
				    struct hcv_kvs *kvs)
{
	sqlite3_stmt *st = stmt_text(f, ST_LIST, prefix);
	enum hcv_meta_result res = HCV_META_OK;
	size_t len = strlen(prefix);
	const char *key;
	int ret;

	/* Keys and revision belong together: nobody writes without the lock. */
	if (read_int(f, ST_REV, &kvs->rev) != SQLITE_OK)
		return fail_db(f, HCV_META_UNREACHABLE);
	while ((ret = sqlite3_step(st)) == SQLITE_ROW) {
		key = column_text(st, 0);
		if (strncmp(key, prefix, len)) {
			ret = SQLITE_DONE;
			break;
		}
		if (hcv_kvs_add(kvs, key, column_text(st, 1),
				sqlite3_column_int64(st, 2))) {
			res = no_memory();
			ret = SQLITE_DONE;
			break;
		}
	}
	if (ret != SQLITE_DONE)
		res = fail_db(f, HCV_META_UNREACHABLE);
	sqlite3_reset(st);
	return res;
}

static enum hcv_meta_result sqlite_list(struct hcv_meta *meta,
					const char *prefix,
					struct hcv_kvs *kvs, int64_t deadline)
{
	struct sqlite_file *f = to_file(meta);
	enum hcv_meta_result res = hcv_local_lock(&f->local, deadline);

	if (res != HCV_META_OK)
		return res;
	res = do_list(f, prefix, kvs);
	hcv_local_unlock(&f->local);
	return res;
}

static enum hcv_meta_result compare(struct sqlite_file *f,
				    const struct hcv_cmp *cmp, size_t nr)
{
	sqlite3_stmt *st;
	int64_t rev;
	size_t i;
	int ret;

	for (i = 0; i < nr; i++) {
		st = stmt_text(f, ST_GET, cmp[i].key);
		ret = sqlite3_step(st);
		rev = ret == SQLITE_ROW ? sqlite3_column_int64(st, 1) : 0;
		sqlite3_reset(st);
		if (ret != SQLITE_ROW && ret != SQLITE_DONE)
			return fail_db(f, HCV_META_UNREACHABLE);
		if (rev != cmp[i].rev)
			return hcv_meta_fail(HCV_META_CONFLICT,
					     "%s has changed", cmp[i].key);
	}
	return HCV_META_OK;
}

static int apply_op(struct sqlite_file *f, const struct hcv_op *op,
		    int64_t rev, bool *changed)
{
	sqlite3_stmt *st;
	int ret;

	if (!op->value) {
		ret = run(stmt_text(f, ST_DELETE, op->key));
		*changed = ret == SQLITE_OK && sqlite3_changes(f->db);
		return ret;
	}
	st = stmt_text(f, ST_PUT, op->key);
	sqlite3_bind_text(st, 2, op->value, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 3, rev);
	sqlite3_bind_int64(st, 4, op->lease);
	*changed = true;
	return run(st);
}

static enum hcv_meta_result apply(struct sqlite_file *f,
				  const struct hcv_op *op, size_t nr_op,
				  int64_t rev, bool *changed)
{
	size_t i;

	for (i = 0; i < nr_op; i++)
		if (op[i].value && op[i].lease &&
		    !hcv_local_lease_valid(&f->local, op[i].lease))
			return hcv_meta_fail(HCV_META_INVALID,
					     "lease %lld of %s has expired",
					     (long long)op[i].lease,
					     op[i].key);
	for (i = 0; i < nr_op; i++)
		if (apply_op(f, &op[i], rev, &changed[i]) != SQLITE_OK)
			return fail_db(f, HCV_META_UNREACHABLE);
	return HCV_META_OK;
}

/* Within BEGIN IMMEDIATE; ends it. */
static enum hcv_meta_result do_txn(struct sqlite_file *f,
				   const struct hcv_cmp *cmp, size_t nr_cmp,
				   const struct hcv_op *op, size_t nr_op)
{
	bool changed[HCV_META_OPS_MAX] = { false };
	int64_t rev = f->local.rev + 1;
	enum hcv_meta_result res;
	bool any = false;
	size_t i;

	res = compare(f, cmp, nr_cmp);
	if (res == HCV_META_OK)
		res = apply(f, op, nr_op, rev, changed);
	for (i = 0; i < nr_op; i++)
		any |= changed[i];
	if (res == HCV_META_OK && any &&
	    run(stmt_int(f, ST_SET_REV, rev)) != SQLITE_OK)
		res = fail_db(f, HCV_META_UNREACHABLE);
	if (res != HCV_META_OK || !any) {
		rollback(f);
		return res;
	}
	res = commit(f);
	if (res == HCV_META_UNKNOWN)
		hcv_local_changed_outside(&f->local);
	if (res != HCV_META_OK)
		return res;
	f->local.rev = rev;
	for (i = 0; i < nr_op; i++)
		if (changed[i])
			hcv_local_changed(&f->local, op[i].key);
	return HCV_META_OK;
}

static enum hcv_meta_result sqlite_txn(struct hcv_meta *meta,
				       const struct hcv_cmp *cmp,
				       size_t nr_cmp, const struct hcv_op *op,
				       size_t nr_op, int64_t *rev,
				       int64_t deadline)
{
	struct sqlite_file *f = to_file(meta);
	enum hcv_meta_result res = hcv_local_lock(&f->local, deadline);

	if (res != HCV_META_OK)
		return res;
	res = begin(f);
	if (res == HCV_META_OK)
		res = do_txn(f, cmp, nr_cmp, op, nr_op);
	*rev = f->local.rev;
	hcv_local_unlock(&f->local);
	return res;
}

static enum hcv_meta_result sqlite_lease_grant(struct hcv_meta *meta,
					       unsigned int ttl_s,
					       int64_t *lease,
					       int64_t deadline)
{
	struct sqlite_meta *m = (struct sqlite_meta *)meta;
	struct hcv_local *l = &m->file->local;
	enum hcv_meta_result res = hcv_local_lock(l, deadline);

	if (res != HCV_META_OK)
		return res;
	res = hcv_local_lease_grant(l, &m->client, ttl_s, lease);
	hcv_local_unlock(l);
	return res;
}

static enum hcv_meta_result sqlite_lease_keep(struct hcv_meta *meta,
					      int64_t lease, int64_t deadline)
{
	struct hcv_local *l = &to_file(meta)->local;
	enum hcv_meta_result res = hcv_local_lock(l, deadline);

	if (res != HCV_META_OK)
		return res;
	res = hcv_local_lease_keep(l, lease);
	hcv_local_unlock(l);
	return res;
}

static enum hcv_meta_result sqlite_lease_revoke(struct hcv_meta *meta,
						int64_t lease,
						int64_t deadline)
{
	struct hcv_local *l = &to_file(meta)->local;
	enum hcv_meta_result res = hcv_local_lock(l, deadline);

	if (res != HCV_META_OK)
		return res;
	res = hcv_local_lease_revoke(l, lease);
	hcv_local_unlock(l);
	return res;
}

static enum hcv_meta_result sqlite_watch(struct hcv_meta *meta,
					 const char *prefix, int64_t *rev,
					 int64_t deadline)
{
	struct sqlite_meta *m = (struct sqlite_meta *)meta;
	struct hcv_local *l = &m->file->local;
	enum hcv_meta_result res = hcv_local_lock(l, deadline);

	if (res != HCV_META_OK)
		return res;
	res = hcv_local_watch(l, &m->client, prefix, rev, deadline);
	hcv_local_unlock(l);
	return res;
}

static void sqlite_watch_cancel(struct hcv_meta *meta)
{
	struct sqlite_meta *m = (struct sqlite_meta *)meta;

	pthread_mutex_lock(&m->file->local.lock);
	hcv_local_cancel(&m->file->local, &m->client);
	hcv_local_unlock(&m->file->local);
}

const struct hcv_meta_ops hcv_meta_sqlite_ops = {
	.scheme = "sqlite",
	.cluster = false,
	.open = sqlite_open,
	.close = sqlite_close,
	.get = sqlite_get,
	.list = sqlite_list,
	.txn = sqlite_txn,
	.lease_grant = sqlite_lease_grant,
	.lease_keep = sqlite_lease_keep,
	.lease_revoke = sqlite_lease_revoke,
	.watch = sqlite_watch,
	.watch_cancel = sqlite_watch_cancel,
};
