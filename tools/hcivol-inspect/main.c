// SPDX-License-Identifier: GPL-2.0-only
/*
 * hcivol-inspect: looks at stores without module and agent.
 *
 * Only "format" writes.  A store that is open in the module changes while it
 * is read: what is said of it then may be wrong.
 */
#include "../../kernel/version.h"
#include "inspect.h"

#include <getopt.h>
#include <stdlib.h>
#include <uuid/uuid.h>

enum {
	HCV_INS_O_VOLUME	= 1 << 0,
	HCV_INS_O_EXTENT	= 1 << 1,
	HCV_INS_O_OFFSET	= 1 << 2,
	HCV_INS_O_LENGTH	= 1 << 3,
	HCV_INS_O_GENERATION	= 1 << 4,
	HCV_INS_O_DATA		= 1 << 5,
	HCV_INS_O_FORCE		= 1 << 6,
	HCV_INS_O_LABEL		= 1 << 7,
	HCV_INS_O_CLUSTER	= 1 << 8,
	HCV_INS_O_UUID		= 1 << 9,
	HCV_INS_O_JSON		= 1 << 10,
	HCV_INS_O_HELP		= 1 << 11,
	HCV_INS_O_PAIR		= 1 << 12,
};

static const struct option hcv_ins_options[] = {
	{ "volume", required_argument, NULL, HCV_INS_O_VOLUME },
	{ "extent", required_argument, NULL, HCV_INS_O_EXTENT },
	{ "offset", required_argument, NULL, HCV_INS_O_OFFSET },
	{ "length", required_argument, NULL, HCV_INS_O_LENGTH },
	{ "generation", required_argument, NULL, HCV_INS_O_GENERATION },
	{ "data", no_argument, NULL, HCV_INS_O_DATA },
	{ "force", no_argument, NULL, HCV_INS_O_FORCE },
	{ "label", required_argument, NULL, HCV_INS_O_LABEL },
	{ "cluster", required_argument, NULL, HCV_INS_O_CLUSTER },
	{ "uuid", required_argument, NULL, HCV_INS_O_UUID },
	{ "json", no_argument, NULL, HCV_INS_O_JSON },
	{ "help", no_argument, NULL, HCV_INS_O_HELP },
	{ "pair", no_argument, NULL, HCV_INS_O_PAIR },
	{ }
};

static const struct hcv_ins_command {
	const char *name;
	const char *args;
	const char *help;
	int (*run)(struct hcv_ins_args *args);
	u32 options;
	u32 needs;
	u32 max_devs;
} hcv_ins_commands[] = {
	{ "super", "DEV", "the superblock", hcv_ins_cmd_super,
	  HCV_INS_O_JSON, 0, 1 },
	{ "table", "DEV", "which volume has which extents", hcv_ins_cmd_table,
	  HCV_INS_O_JSON, 0, 1 },
	{ "volumes", "DEV", "the volumes and their generations",
	  hcv_ins_cmd_volumes, HCV_INS_O_JSON, 0, 1 },
	{ "pages", "DEV --volume UUID [--extent N]",
	  "the metadata pages of a volume's extents", hcv_ins_cmd_pages,
	  HCV_INS_O_VOLUME | HCV_INS_O_EXTENT | HCV_INS_O_JSON,
	  HCV_INS_O_VOLUME, 1 },
	{ "check", "DEV... [--data] [--pair]",
	  "are the stores consistent, and replicas on them equal",
	  hcv_ins_cmd_check, HCV_INS_O_DATA | HCV_INS_O_PAIR | HCV_INS_O_JSON, 0,
	  HCV_INS_STORES_MAX },
	{ "read", "DEV... --volume UUID [--generation N] [--offset N] [--length N] [--pair] > FILE",
	  "a volume's content, from its stores alone", hcv_ins_cmd_read,
	  HCV_INS_O_VOLUME | HCV_INS_O_OFFSET | HCV_INS_O_LENGTH |
	  HCV_INS_O_GENERATION | HCV_INS_O_PAIR, HCV_INS_O_VOLUME,
	  HCV_INS_STORES_MAX },
	{ "format", "DEV [--label TEXT] [--cluster UUID] [--uuid UUID] [--force]",
	  "make a store; --force destroys what is there", hcv_ins_cmd_format,
	  HCV_INS_O_LABEL | HCV_INS_O_CLUSTER | HCV_INS_O_UUID |
	  HCV_INS_O_FORCE | HCV_INS_O_JSON, 0, 1 },
};

static void hcv_ins_usage(FILE *out)
{
	const struct hcv_ins_command *cmd = hcv_ins_commands;
	u32 i;

	fprintf(out, "Usage: hcivol-inspect COMMAND DEV... [OPTIONS]\n\n");
	for (i = 0; i < ARRAY_SIZE(hcv_ins_commands); i++, cmd++)
		fprintf(out, "  %s %s\n      %s\n", cmd->name, cmd->args,
			cmd->help);
	fprintf(out,
		"\n--json: one JSON object instead of text (not with read).\n"
		"Numbers take the suffixes K, M, G, T (powers of 1024).\n"
		"Exit status: 0 fine; 1 could not, or found problems; 2 usage.\n");
}

static bool hcv_ins_number(const char *text, u64 max, u64 *val)
{
	static const char units[] = "KMGT";
	const char *unit;
	char *end;
	u32 shift = 0;

	errno = 0;
	*val = strtoull(text, &end, 0);
	if (errno || end == text || strchr(text, '-'))
		return false;
	if (*end) {
		unit = strchr(units, *end++);
		if (!unit || *end)
			return false;
		shift = 10 * (unit - units + 1);
	}
	if (*val > U64_MAX >> shift)
		return false;
	*val <<= shift;
	return *val <= max;
}

static bool hcv_ins_option(struct hcv_ins_args *args, int opt)
{
	u64 val = 0;

	switch (opt) {
	case HCV_INS_O_VOLUME:
		args->has_volume = true;
		return !uuid_parse(optarg, args->volume);
	case HCV_INS_O_CLUSTER:
		return !uuid_parse(optarg, args->cluster);
	case HCV_INS_O_UUID:
		return !uuid_parse(optarg, args->uuid);
	case HCV_INS_O_OFFSET:
		return hcv_ins_number(optarg, U64_MAX - 1, &args->offset);
	case HCV_INS_O_LENGTH:
		return hcv_ins_number(optarg, U64_MAX - 1, &args->length);
	case HCV_INS_O_EXTENT:
		if (!hcv_ins_number(optarg, HCV_INS_NONE - 1, &val))
			return false;
		args->extent = val;
		return true;
	case HCV_INS_O_GENERATION:
		if (!hcv_ins_number(optarg, U32_MAX, &val) || !val)
			return false;
		args->generation = val;
		return true;
	case HCV_INS_O_LABEL:
		args->label = optarg;
		return true;
	case HCV_INS_O_DATA:
		args->data = true;
		return true;
	case HCV_INS_O_PAIR:
		args->pair = true;
		return true;
	case HCV_INS_O_FORCE:
		args->force = true;
		return true;
	case HCV_INS_O_JSON:
		args->json = true;
		return true;
	}
	return false;
}

/* Return: 0, or what to exit with, plus one. */
static int hcv_ins_parse(const struct hcv_ins_command *cmd,
			 struct hcv_ins_args *args, int argc, char **argv)
{
	u32 seen = 0;
	int opt, index;

	while ((opt = getopt_long(argc, argv, "", hcv_ins_options,
				  &index)) != -1) {
		if (opt == HCV_INS_O_HELP) {
			printf("Usage: hcivol-inspect %s %s\n%s\n", cmd->name,
			       cmd->args, cmd->help);
			return HCV_INS_OK + 1;
		}
		if (opt == '?')
			return HCV_INS_USAGE + 1;
		if (!(cmd->options & opt)) {
			hcv_ins_error("%s takes no --%s: see hcivol-inspect %s --help",
				      cmd->name, hcv_ins_options[index].name,
				      cmd->name);
			return HCV_INS_USAGE + 1;
		}
		if (!hcv_ins_option(args, opt)) {
			hcv_ins_error("--%s %s: not a valid value",
				      hcv_ins_options[index].name, optarg);
			return HCV_INS_USAGE + 1;
		}
		seen |= opt;
	}
	args->dev = argv + optind;
	args->nr_devs = argc - optind;
	if (!args->nr_devs || args->nr_devs > cmd->max_devs ||
	    (cmd->needs & ~seen)) {
		hcv_ins_error("usage: hcivol-inspect %s %s", cmd->name,
			      cmd->args);
		return HCV_INS_USAGE + 1;
	}
	if (args->pair && args->nr_devs != 2) {
		hcv_ins_error("--pair goes with two stores: an old copy, and the temporary replica that stands in for it");
		return HCV_INS_USAGE + 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct hcv_ins_args args = { .extent = HCV_INS_NONE,
				     .length = U64_MAX };
	const struct hcv_ins_command *cmd = NULL;
	u32 i;
	int ret;

	if (argc > 1 && (!strcmp(argv[1], "--help") ||
			 !strcmp(argv[1], "help"))) {
		hcv_ins_usage(stdout);
		return fflush(stdout) ? HCV_INS_FAILED : HCV_INS_OK;
	}
	if (argc > 1 && !strcmp(argv[1], "--version")) {
		printf("hcivol-inspect %s, media format %u.%u\n", HCV_VERSION,
		       HCV_FMT_MAJOR, HCV_FMT_MINOR);
		return fflush(stdout) ? HCV_INS_FAILED : HCV_INS_OK;
	}
	for (i = 0; argc > 1 && i < ARRAY_SIZE(hcv_ins_commands); i++)
		if (!strcmp(hcv_ins_commands[i].name, argv[1]))
			cmd = &hcv_ins_commands[i];
	if (!cmd) {
		if (argc > 1)
			hcv_ins_error("no command %s", argv[1]);
		hcv_ins_usage(stderr);
		return HCV_INS_USAGE;
	}
	argv[1] = argv[0];
	ret = hcv_ins_parse(cmd, &args, argc - 1, argv + 1);
	return ret ? ret - 1 : cmd->run(&args);
}
