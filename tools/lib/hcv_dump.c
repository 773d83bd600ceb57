// SPDX-License-Identifier: GPL-2.0-only
/*
 * Media structures as text, one "name value" a line.
 */
#include "hcv_dump.h"

const char *hcv_dump_uuid(const u8 *u)
{
	static char text[4][37];
	static unsigned int turn;
	char *p = text[turn++ % 4];

	snprintf(p, sizeof(text[0]),
		 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
		 u[0], u[1], u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9],
		 u[10], u[11], u[12], u[13], u[14], u[15]);
	return p;
}

const char *hcv_dump_error(int err)
{
	switch (err) {
	case 0:
		return "valid";
	case -ENODATA:
		return "never written";
	case -ENOMSG:
		return "not ours (foreign magic)";
	case -EBADMSG:
		return "damaged (checksum)";
	case -EXDEV:
		return "written for another place, volume or store";
	case -EPROTONOSUPPORT:
		return "of a version or with a feature unknown here";
	case -EUCLEAN:
		return "a field is out of range";
	default:
		return strerror(-err);
	}
}

u32 hcv_dump_rec_count(const struct hcv_rec *rec, u32 state)
{
	u32 i, n = 0;

	for (i = 0; i < 4; i++)
		n += hweight64((state & 1 ? rec->lo[i] : ~rec->lo[i]) &
			       (state & 2 ? rec->hi[i] : ~rec->hi[i]));
	return n;
}

/* Names and labels are bytes of a medium: only printable ones get out. */
static void hcv_dump_name(FILE *out, const char *what, const char *name)
{
	fprintf(out, "%-12s \"", what);
	for (; *name; name++)
		if ((u8)*name < 0x20 || *name == 0x7f || *name == '"' ||
		    *name == '\\')
			fprintf(out, "\\x%02x", (u8)*name);
		else
			fputc(*name, out);
	fprintf(out, "\"\n");
}

static void hcv_dump_u64(FILE *out, const char *what, u64 val)
{
	fprintf(out, "%-12s %llu\n", what, val);
}

static void hcv_dump_id(FILE *out, const char *what, const u8 *uuid)
{
	fprintf(out, "%-12s %s\n", what, hcv_dump_uuid(uuid));
}

void hcv_dump_super(FILE *out, const struct hcv_super *sb)
{
	hcv_dump_id(out, "store", sb->store);
	hcv_dump_name(out, "label", sb->label);
	hcv_dump_id(out, "cluster", sb->cluster);
	hcv_dump_id(out, "node", sb->node);
	fprintf(out, "%-12s %#llx %#llx %#llx\n", "features", sb->compat,
		sb->ro_compat, sb->incompat);
	hcv_dump_u64(out, "seq", sb->seq);
	fprintf(out, "%-12s%s%s%s\n", "flags",
		sb->flags & HCV_SB_CLEAN ? " clean" : "",
		sb->flags & HCV_SB_NO_LEASE ? " no-lease" : "",
		sb->flags ? "" : " none");
	hcv_dump_u64(out, "dev_bytes", sb->lay.dev_bytes);
	hcv_dump_u64(out, "lba_bytes", sb->lba_bytes);
	hcv_dump_u64(out, "nr_extents", sb->lay.nr_extents);
	hcv_dump_u64(out, "nr_vols", sb->lay.nr_vols);
	hcv_dump_u64(out, "table_pages", sb->lay.table_pages);
	hcv_dump_u64(out, "vol_off", sb->lay.vol_off);
	hcv_dump_u64(out, "meta_off", sb->lay.meta_off);
	hcv_dump_u64(out, "data_off", sb->lay.data_off);
	hcv_dump_u64(out, "handle_next", sb->handle_next);
	fprintf(out, "%-12s %016llx\n", "incarnation", sb->incarnation);
	hcv_dump_u64(out, "format_time", sb->format_time);
}

void hcv_dump_entry(FILE *out, u32 nr, const struct hcv_entry *ent)
{
	fprintf(out, "entry %u volume %s index %u seq %llu\n", nr,
		hcv_dump_uuid(ent->volume), ent->index, ent->seq);
}

void hcv_dump_table(FILE *out, const void *buf)
{
	const struct hcv_dsk_table *d = buf;
	struct hcv_entry ent;
	u32 i;
	int ret;

	hcv_dump_id(out, "store", d->store);
	hcv_dump_u64(out, "page", le32_to_cpu(d->page));
	hcv_dump_u64(out, "place", le32_to_cpu(d->place));
	hcv_dump_u64(out, "seq", le64_to_cpu(d->seq));
	for (i = 0; i < HCV_TABLE_ENTRIES; i++) {
		ret = hcv_fmt_table_get(buf, i, &ent);
		if (ret)
			fprintf(out, "entry %u %s\n", i, hcv_dump_error(ret));
		else if (ent.state != HCV_ENTRY_FREE)
			hcv_dump_entry(out, i, &ent);
	}
}

static void hcv_dump_rec(FILE *out, u32 nr, const struct hcv_rec *r)
{
	fprintf(out,
		"slot %u mib %u gen %u seq %llu stamp %llu data %u zero %u elsewhere %u\n",
		nr, r->mib, r->gen, r->seq, r->stamp, hcv_dump_rec_count(r, 1),
		hcv_dump_rec_count(r, 2), hcv_dump_rec_count(r, 3));
}

void hcv_dump_page(FILE *out, const void *buf, const struct hcv_page_id *id,
		   u64 epoch, u64 seq)
{
	struct hcv_rec rec;
	u32 i;
	int ret;

	hcv_dump_id(out, "volume", id->volume);
	fprintf(out, "%-12s %016llx\n", "lineage", id->lineage);
	hcv_dump_u64(out, "extent", id->extent);
	hcv_dump_u64(out, "page", id->page);
	hcv_dump_u64(out, "place", id->place);
	hcv_dump_u64(out, "epoch", epoch);
	hcv_dump_u64(out, "seq", seq);
	for (i = 0; i < HCV_PAGE_RECORDS; i++) {
		ret = hcv_fmt_page_get(buf, id->page, i, &rec);
		if (ret)
			fprintf(out, "slot %u %s\n",
				id->page * HCV_PAGE_RECORDS + i,
				hcv_dump_error(ret));
		else if (rec.state != HCV_REC_FREE)
			hcv_dump_rec(out, id->page * HCV_PAGE_RECORDS + i,
				     &rec);
	}
}

void hcv_dump_volpage(FILE *out, const void *buf, const struct hcv_volpage *vp)
{
	struct hcv_gen gen;
	u32 i;

	hcv_dump_id(out, "volume", vp->volume);
	hcv_dump_name(out, "name", vp->name);
	fprintf(out, "%-12s %016llx\n", "lineage", vp->lineage);
	hcv_dump_u64(out, "epoch", vp->epoch);
	hcv_dump_u64(out, "v", vp->v);
	hcv_dump_u64(out, "seq", vp->seq);
	hcv_dump_u64(out, "size_bytes", vp->size_bytes);
	hcv_dump_u64(out, "stripe", vp->stripe);
	hcv_dump_u64(out, "replicas", vp->replicas);
	hcv_dump_u64(out, "cur_gen", vp->cur_gen);
	for (i = 0; !hcv_fmt_volpage_gen(buf, i, &gen); i++)
		fprintf(out, "generation %u parent %u created %llu%s%s\n",
			gen.id, gen.parent, gen.created,
			gen.flags & HCV_GEN_SEALED ? " sealed" : "",
			gen.flags & HCV_GEN_DELETED ? " deleted" : "");
}

void hcv_dump_log(FILE *out, const void *buf, const struct hcv_log_id *id,
		  u64 epoch, u64 seq, u32 count)
{
	u32 i;

	hcv_dump_id(out, "volume", id->volume);
	fprintf(out, "%-12s %016llx\n", "lineage", id->lineage);
	hcv_dump_u64(out, "page", id->page);
	hcv_dump_u64(out, "place", id->place);
	hcv_dump_u64(out, "epoch", epoch);
	hcv_dump_u64(out, "seq", seq);
	for (i = 0; i < count; i++)
		fprintf(out, "entry %u mib %u\n", i, hcv_fmt_log_get(buf, i));
}

void hcv_dump_control(FILE *out, const void *buf, const struct hcv_control *ctl)
{
	const struct hcv_dsk_control *d = buf;
	u32 i;

	hcv_dump_id(out, "store", ctl->store);
	fprintf(out, "%-12s %016llx\n", "incarnation", ctl->incarnation);
	hcv_dump_u64(out, "revoke_seq", ctl->revoke_seq);
	fprintf(out, "%-12s%s%s%s\n", "flags",
		ctl->flags & HCV_CONTROL_ALL ? " all" : "",
		ctl->flags & HCV_CONTROL_MORE ? " more" : "",
		ctl->flags ? "" : " none");
	if (ctl->window)
		fprintf(out, "%-12s %u\n", "window", ctl->window);
	for (i = 0; i < ctl->count; i++)
		fprintf(out, "revoked volume %s epoch %llu\n",
			hcv_dump_uuid(d->revoked[i].volume),
			(u64)le64_to_cpu(d->revoked[i].epoch));
}

void hcv_dump_done(FILE *out, const struct hcv_done *done)
{
	hcv_dump_id(out, "store", done->store);
	fprintf(out, "%-12s %016llx\n", "incarnation", done->incarnation);
	hcv_dump_id(out, "volume", done->volume);
	hcv_dump_u64(out, "epoch", done->epoch);
}
