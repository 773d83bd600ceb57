// SPDX-License-Identifier: GPL-2.0-only
/*
 * JSON of the rows of a volume: which stores hold which extent.
 *
 * A key holds up to HCV_ROWS_PER_KEY rows.  The stores are named once, in a
 * list, and the rows refer to their places in it.
 */
#include "model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"

/* Every row of a key could have stores of its own. */
#define STORES_MAX (HCV_ROWS_PER_KEY * HCV_ROW_STORES)

/*
 * The place of @id in the list, appended if need be.  Neighbouring rows mostly
 * use the stores named last, and a volume has few of them.
 */
static size_t place_of(struct hcv_json *j, struct json_object *stores,
		       const char **names, size_t *nr, const char *id)
{
	size_t i;

	for (i = *nr; i > 0; i--)
		if (!strcmp(names[i - 1], id))
			return i - 1;
	names[*nr] = id;
	hcv_json_push(j, stores, json_object_new_string(id));
	return (*nr)++;
}

static void put_row(struct hcv_json *j, struct json_object *list,
		    struct json_object *stores, const char **names,
		    size_t *nr_names, const struct hcv_row *row)
{
	struct json_object *item = json_object_new_array();
	struct json_object *places = json_object_new_array();
	size_t i, place;

	hcv_json_push(j, list, item);
	hcv_json_push(j, item, json_object_new_uint64(row->index));
	hcv_json_push(j, item, json_object_new_uint64(row->column));
	hcv_json_push(j, item, places);
	for (i = 0; i < row->nr; i++) {
		place = place_of(j, stores, names, nr_names, row->store[i]);
		hcv_json_push(j, places, json_object_new_uint64(place));
	}
	hcv_json_push(j, item, json_object_new_uint64(row->full));
}

char *hcv_model_rows_encode(const struct hcv_rows *rows, size_t first,
			    size_t nr)
{
	struct json_object *stores = json_object_new_array();
	struct json_object *list = json_object_new_array();
	const char **names = calloc(nr * HCV_ROW_STORES + 1, sizeof(*names));
	size_t nr_names = 0;
	struct hcv_json j;
	size_t i;

	hcv_json_init(&j, HCV_SCHEMA);
	j.failed |= !names;
	hcv_json_put_u64(&j, "next", rows->next);
	hcv_json_put(&j, j.o, "stores", stores);
	hcv_json_put(&j, j.o, "rows", list);
	for (i = first; i < first + nr && !j.failed; i++)
		put_row(&j, list, stores, names, &nr_names, &rows->row[i]);
	free(names);
	return hcv_json_finish(&j);
}

static int get_places(struct json_object *item, struct json_object *stores,
		      struct hcv_row *row, char *err)
{
	uint64_t place;
	size_t i, k;

	row->nr = (uint8_t)json_object_array_length(item);
	for (i = 0; i < row->nr; i++) {
		if (hcv_json_item_u64(json_object_array_get_idx(item, i),
				      "rows: store", STORES_MAX, &place, err))
			return -EINVAL;
		if (place >= json_object_array_length(stores))
			return hcv_json_err(err,
					    "\"rows\" names a store that is not listed");
		/* Checked by get_stores(). */
		memcpy(row->store[i],
		       json_object_get_string(json_object_array_get_idx(stores,
									place)),
		       HCV_ID_LEN);
		for (k = 0; k < i; k++)
			if (!strcmp(row->store[k], row->store[i]))
				return hcv_json_err(err,
						    "\"rows\" has a row with one store twice");
	}
	return 0;
}

static int get_row(struct json_object *item, struct json_object *stores,
		   uint32_t next, struct hcv_row *row, char *err)
{
	uint64_t index, column, full;
	struct json_object *places;
	size_t nr;

	if (!json_object_is_type(item, json_type_array) ||
	    json_object_array_length(item) != 4)
		return hcv_json_err(err,
				    "\"rows\" has an element that is no row");
	if (hcv_json_item_u64(json_object_array_get_idx(item, 0),
			      "rows: index", UINT32_MAX, &index, err) ||
	    hcv_json_item_u64(json_object_array_get_idx(item, 1),
			      "rows: column", 3, &column, err) ||
	    hcv_json_item_u64(json_object_array_get_idx(item, 3),
			      "rows: full", UINT8_MAX, &full, err))
		return -EINVAL;
	places = json_object_array_get_idx(item, 2);
	if (!json_object_is_type(places, json_type_array))
		return hcv_json_err(err, "\"rows\" has a row without stores");
	nr = json_object_array_length(places);
	if (nr < 1 || nr > HCV_ROW_STORES)
		return hcv_json_err(err, "\"rows\" has a row of %zu stores",
				    nr);
	if (full >> nr)
		return hcv_json_err(err,
				    "\"rows\" has a row with an impossible mask");
	if (index >= next)
		return hcv_json_err(err,
				    "\"rows\" has an index not below \"next\"");
	row->index = (uint32_t)index;
	row->column = (uint8_t)column;
	row->full = (uint8_t)full;
	return get_places(places, stores, row, err);
}

static int get_stores(struct json_object *o, struct json_object **out,
		      char *err)
{
	struct json_object *stores;
	char id[HCV_ID_LEN];
	size_t i;

	if (hcv_json_array(o, "stores", STORES_MAX, &stores, err))
		return -EINVAL;
	for (i = 0; i < json_object_array_length(stores); i++) {
		if (hcv_json_item_str(json_object_array_get_idx(stores, i),
				      "stores", id, sizeof(id), err))
			return -EINVAL;
		if (!hcv_model_uuid_ok(id))
			return hcv_json_err(err,
					    "\"stores\" has an element that is no store");
	}
	*out = stores;
	return 0;
}

/* Memory for @nr rows more. */
static int grow(struct hcv_rows *rows, size_t nr, char *err)
{
	struct hcv_row *row;

	if (!nr)
		return 0;
	row = realloc(rows->row, (rows->nr + nr) * sizeof(*row));
	if (!row)
		return hcv_json_err(err, "out of memory");
	rows->row = row;
	memset(&row[rows->nr], 0, nr * sizeof(*row));
	return 0;
}

static int append(struct json_object *o, struct hcv_rows *rows, char *err)
{
	struct json_object *stores = NULL, *list;
	struct hcv_row *row;
	uint64_t next;
	size_t nr, i;

	if (hcv_json_u64(o, "next", 0, UINT32_MAX, &next, err) ||
	    get_stores(o, &stores, err) ||
	    hcv_json_array(o, "rows", HCV_ROWS_PER_KEY, &list, err))
		return -EINVAL;
	nr = json_object_array_length(list);
	if (grow(rows, nr, err))
		return -EINVAL;
	for (i = 0; i < nr; i++) {
		row = &rows->row[rows->nr + i];
		if (get_row(json_object_array_get_idx(list, i), stores,
			    (uint32_t)next, row, err))
			return -EINVAL;
		if (i && row->index <= row[-1].index)
			return hcv_json_err(err,
					    "\"rows\" is not in ascending order");
	}
	/* Only now: what lies beyond @nr is not there. */
	rows->nr += nr;
	if (next > rows->next)
		rows->next = (uint32_t)next;
	return 0;
}

int hcv_model_rows_decode(const char *json, struct hcv_rows *rows, char *err)
{
	struct json_object *o = hcv_json_parse(json, HCV_SCHEMA, err);
	int ret;

	if (!o)
		return -EINVAL;
	ret = append(o, rows, err);
	json_object_put(o);
	return ret;
}

void hcv_model_rows_free(struct hcv_rows *rows)
{
	free(rows->row);
	memset(rows, 0, sizeof(*rows));
}
