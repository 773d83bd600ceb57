// SPDX-License-Identifier: GPL-2.0-only
/*
 * What smartctl prints, read and judged; and what is none of its output, refused.
 */
#include <kunit/test.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "smart.h"

#define TOOL(status) \
	"\"json_format_version\": [1, 0], \"smartctl\": {\"version\": [7, 3]," \
	" \"exit_status\": " #status "}"
#define SMART_YES \
	"\"smart_support\": {\"available\": true, \"enabled\": true}"
#define PASSED		"\"smart_status\": {\"passed\": true}"
#define NVME(log) \
	"{" TOOL(0) ", " SMART_YES ", " PASSED \
	", \"nvme_smart_health_information_log\": {" log "}}"
#define ATA(table) \
	"{" TOOL(0) ", " SMART_YES ", " PASSED \
	", \"ata_smart_attributes\": {\"revision\": 16, \"table\": [" table \
	"]}}"
#define ATTR(id, name, when, prefail, raw) \
	"{\"id\": " #id ", \"name\": \"" name "\", \"value\": 100," \
	" \"worst\": 100, \"thresh\": 36, \"when_failed\": \"" when "\"," \
	" \"flags\": {\"value\": 51, \"string\": \"PO--CK \"," \
	" \"prefailure\": " #prefail "}, \"raw\": {\"value\": " #raw "," \
	" \"string\": \"" #raw "\"}}"
#define WELL \
	"\"critical_warning\": 0, \"temperature\": 45, \"available_spare\": 100," \
	" \"available_spare_threshold\": 10, \"percentage_used\": 3," \
	" \"media_errors\": 0, \"num_err_log_entries\": 6"
#define ERRORS(kind, nr) \
	"\"" kind "\": {\"total_uncorrected_errors\": " #nr "}"
#define LOG(lines)	"\"scsi_error_counter_log\": {" lines "}"
#define DIGITS		"01234567890123456789"
#define WEAR		"\"endurance_used\": {\"current_percent\": 101}"
#define SAYS(status, messages) \
	"{\"json_format_version\": [1, 0], \"smartctl\": {\"exit_status\": " \
	#status ", \"messages\": " messages "}}"
#define SCSI(more) "{" TOOL(0) ", " SMART_YES ", " PASSED ", " more "}"

struct smart_case {
	const char *name;
	const char *text;
	enum hcv_smart_verdict want;
	const char *why;	/* part of it */
};

static const struct smart_case smart_cases[] = {
	{ "NVMe, all is well",
	  NVME(WELL), HCV_SMART_FINE, "" },
	{ "NVMe, spare", NVME("\"critical_warning\": 1"), HCV_SMART_FAILING,
	  "spare" },
	{ "NVMe, too hot", NVME("\"critical_warning\": 2"), HCV_SMART_TOLD,
	  "hot" },
	{ "NVMe, degraded", NVME("\"critical_warning\": 4"),
	  HCV_SMART_FAILING, "degraded" },
	{ "NVMe, read-only", NVME("\"critical_warning\": 8"),
	  HCV_SMART_FAILING, "read-only" },
	{ "NVMe, backup", NVME("\"critical_warning\": 16"),
	  HCV_SMART_FAILING, "power-loss" },
	{ "NVMe, hot and read-only", NVME("\"critical_warning\": 10"),
	  HCV_SMART_FAILING, "read-only" },
	{ "NVMe, a warning of a later standard",
	  NVME("\"critical_warning\": 128"), HCV_SMART_FINE, "" },
	{ "NVMe, wearing", NVME("\"percentage_used\": 90"), HCV_SMART_TOLD,
	  "90 %" },
	{ "NVMe, not yet", NVME("\"percentage_used\": 89"), HCV_SMART_FINE,
	  "" },
	{ "NVMe, worn", NVME("\"percentage_used\": 100"), HCV_SMART_SUSPECT,
	  "100 %" },
	{ "NVMe, worn out", NVME("\"percentage_used\": 255"),
	  HCV_SMART_SUSPECT, "255 %" },
	{ "NVMe, media errors", NVME("\"media_errors\": 10"),
	  HCV_SMART_SUSPECT, "10 uncorrected" },
	{ "NVMe, few media errors", NVME("\"media_errors\": 9"),
	  HCV_SMART_FINE, "" },
	{ "ATA, all is well",
	  ATA(ATTR(1, "Raw_Read_Error_Rate", "", true, 199781349) ","
	      ATTR(5, "Reallocated_Sector_Ct", "", true, 0) ","
	      ATTR(9, "Power_On_Hours", "", false, 188980133929) ","
	      ATTR(197, "Current_Pending_Sector", "", false, 0)),
	  HCV_SMART_FINE, "" },
	{ "ATA, some sectors replaced",
	  ATA(ATTR(5, "Reallocated_Sector_Ct", "", true, 99)),
	  HCV_SMART_FINE, "" },
	{ "ATA, many sectors replaced",
	  ATA(ATTR(5, "Reallocated_Sector_Ct", "", true, 100)),
	  HCV_SMART_SUSPECT, "100 sectors were replaced" },
	{ "ATA, pending",
	  ATA(ATTR(197, "Current_Pending_Sector", "", false, 10)),
	  HCV_SMART_SUSPECT, "10 sectors cannot be read" },
	{ "ATA, uncorrectable",
	  ATA(ATTR(198, "Offline_Uncorrectable", "", false, 10)),
	  HCV_SMART_SUSPECT, "10 uncorrected" },
	{ "ATA, upper bytes are something else",
	  ATA(ATTR(5, "Reallocated_Sector_Ct", "", true, 4295032832)),
	  HCV_SMART_SUSPECT, "65536 sectors" },
	{ "ATA, beyond the limit",
	  ATA(ATTR(10, "Spin_Retry_Count", "now", true, 1)),
	  HCV_SMART_FAILING, "Spin_Retry_Count" },
	{ "ATA, beyond the limit once",
	  ATA(ATTR(10, "Spin_Retry_Count", "past", true, 1)),
	  HCV_SMART_FINE, "" },
	{ "ATA, beyond the limit of old age",
	  ATA(ATTR(190, "Airflow_Temperature_Cel", "now", false, 60)),
	  HCV_SMART_FINE, "" },
	{ "ATA, endurance of newer versions",
	  SCSI("\"ata_smart_attributes\": {\"table\": []}," WEAR),
	  HCV_SMART_SUSPECT, "101 %" },
	{ "SCSI, all is well",
	  SCSI("\"scsi_grown_defect_list\": 4"), HCV_SMART_FINE,
	  "" },
	{ "SCSI, grown defects", SCSI("\"scsi_grown_defect_list\": 100"),
	  HCV_SMART_SUSPECT, "replaced" },
	{ "SCSI, uncorrected in sum",
	  SCSI(LOG(ERRORS("read", 4) "," ERRORS("write", 3) ","
		   ERRORS("verify", 3))),
	  HCV_SMART_SUSPECT, "10 uncorrected" },
	{ "SCSI, uncorrected, without end",
	  SCSI(LOG(ERRORS("read", 18446744073709551614) ","
		   ERRORS("write", 3))),
	  HCV_SMART_SUSPECT, "uncorrected" },
	{ "SCSI, endurance",
	  SCSI("\"scsi_percentage_used_endurance_indicator\": 97"),
	  HCV_SMART_TOLD, "97 %" },
	{ "it says that it is failing",
	  "{" TOOL(8) ", " SMART_YES
	  ", \"smart_status\": {\"passed\": false}}", HCV_SMART_FAILING,
	  "says" },
	{ "the exit status says so", "{" TOOL(8) ", " PASSED "}",
	  HCV_SMART_FAILING, "says" },
	{ "errors in its log are no verdict", "{" TOOL(192) ", " PASSED "}",
	  HCV_SMART_FINE, "" },
	{ "the question was not answered",
	  "{" TOOL(4) ", \"smart_status\": {}, \"ata_smart_attributes\": {\"table\": []}}",
	  HCV_SMART_FINE, "" },
	{ "no device", "{" TOOL(2) ", " PASSED "}", HCV_SMART_UNKNOWN, "" },
	{ "no such device type", "{" TOOL(1) "}", HCV_SMART_UNKNOWN, "" },
	{ "no SMART",
	  "{" TOOL(4) ", \"smart_support\": {\"available\": false}, " PASSED
	  "}", HCV_SMART_UNKNOWN, "" },
	{ "asleep", "{" TOOL(0) "}", HCV_SMART_UNKNOWN, "" },
};

static void smart_case_desc(const struct smart_case *c, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s", c->name);
}

KUNIT_ARRAY_PARAM(smart, smart_cases, smart_case_desc);

static void smart_verdict(struct kunit *test)
{
	const struct smart_case *c = test->param_value;
	char err[HCV_ERR_SIZE] = "", why[HCV_ERR_SIZE];
	struct hcv_smart s;

	KUNIT_ASSERT_EQ_MSG(test, hcv_smart_parse(c->text, &s, err), 0, "%s",
			    err);
	KUNIT_EXPECT_STREQ(test,
			   hcv_smart_verdict_name(hcv_smart_judge(&s, why)),
			   hcv_smart_verdict_name(c->want));
	KUNIT_EXPECT_TRUE_MSG(test, strstr(why, c->why) && !*why == !*c->why,
			      "\"%s\"", why);
}

struct refuse_case {
	const char *name;
	const char *text;
	const char *err;	/* part of it */
};

static const struct refuse_case refuse_cases[] = {
	{ "nothing", "", "JSON" },
	{ "no JSON", "smartctl: command not found", "JSON" },
	{ "half of it", "{" TOOL(0) ", \"smart_status\": {", "JSON" },
	{ "more behind it", "{" TOOL(0) "} {}", "JSON" },
	{ "a list", "[]", "object" },
	{ "a number", "1", "object" },
	{ "null", "null", "" },
	{ "no version", "{\"smartctl\": {\"exit_status\": 0}}",
	  "json_format_version" },
	{ "an empty version",
	  "{\"json_format_version\": [], \"smartctl\": {\"exit_status\": 0}}",
	  "json_format_version" },
	{ "another version",
	  "{\"json_format_version\": [2, 0], \"smartctl\": {\"exit_status\": 0}}", "is 2" },
	{ "not from the tool", "{\"json_format_version\": [1, 0]}",
	  "smartctl" },
	{ "no status", "{\"json_format_version\": [1, 0], \"smartctl\": {}}",
	  "exit_status" },
	{ "a status that does not exist", "{" TOOL(256) "}", "exit_status" },
	{ "a status below zero", "{" TOOL(-1) "}", "exit_status" },
	{ "the verdict is text",
	  "{" TOOL(0) ", \"smart_status\": {\"passed\": \"yes\"}}", "passed" },
	{ "the verdict is a list",
	  "{" TOOL(0) ", \"smart_status\": []}", "smart_status" },
	{ "warnings below zero", NVME("\"critical_warning\": -1"),
	  "critical_warning" },
	{ "warnings beyond a byte", NVME("\"critical_warning\": 256"),
	  "critical_warning" },
	{ "half a percent", NVME("\"percentage_used\": 0.5"),
	  "percentage_used" },
	{ "too many percent", NVME("\"percentage_used\": 1001"),
	  "percentage_used" },
	{ "errors beyond 64 bits",
	  NVME("\"media_errors\": 36893488147419103232"), "media_errors" },
	{ "errors below zero", NVME("\"media_errors\": -5"), "media_errors" },
	{ "an attribute is a number", ATA("5"), "attribute" },
	{ "an attribute is null", ATA("null"), "attribute" },
	{ "an attribute without a number", ATA("{\"name\": \"x\"}"), "id" },
	{ "an attribute beyond a byte", ATA(ATTR(256, "x", "", true, 0)),
	  "id" },
	{ "an attribute's name is a novel",
	  ATA(ATTR(5, DIGITS DIGITS DIGITS DIGITS, "", true, 0)),
	  "name" },
	{ "a raw value below zero",
	  ATA(ATTR(5, "Reallocated_Sector_Ct", "", true, -1)), "value" },
	{ "a table of text",
	  SCSI("\"ata_smart_attributes\": {\"table\": \"x\"}"), "table" },
	{ "defects are text", SCSI("\"scsi_grown_defect_list\": \"4\""),
	  "scsi_grown_defect_list" },
	{ "messages are no list",
	  SAYS(0, "\"x\""),
	  "messages" },
	{ "a message without text",
	  SAYS(0, "[{}]"),
	  "messages" },
	{ "a message is null",
	  SAYS(0, "[null]"),
	  "messages" },
	{ "no UTF-8", "{" TOOL(0) ", \"model_name\": \"\xff\xfe\"}", "JSON" },
	{ "very deep",
	  "{" TOOL(0) ", \"a\": [[[[[[[[[[[[[[[[[[[[0]]]]]]]]]]]]]]]]]]]]}",
	  "JSON" },
	{ "a comment", "{" TOOL(0) " /* x */ }", "JSON" },
};

static void refuse_case_desc(const struct refuse_case *c, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s", c->name);
}

KUNIT_ARRAY_PARAM(refuse, refuse_cases, refuse_case_desc);

static void smart_refused(struct kunit *test)
{
	const struct refuse_case *c = test->param_value;
	static const struct hcv_smart empty;
	char err[HCV_ERR_SIZE] = "";
	struct hcv_smart s;

	memset(&s, 0xff, sizeof(s));
	KUNIT_EXPECT_EQ(test, hcv_smart_parse(c->text, &s, err), -EINVAL);
	KUNIT_EXPECT_TRUE_MSG(test, *err && strstr(err, c->err), "\"%s\"", err);
	KUNIT_EXPECT_TRUE(test, !memcmp(&s, &empty, sizeof(s)));
}

/* A device's own words go to logs and terminals: nothing in them is a control. */
static void smart_words(struct kunit *test)
{
	static const char said[] =
		SAYS(1, "[{\"string\": \"\\u001b[2Jgone\\n\\u00e4\\u0000x\"}]");
	static const char attr[] =
		ATA(ATTR(3, "a\\u001bb", "now", true, 0));
	char err[HCV_ERR_SIZE], why[HCV_ERR_SIZE];
	struct hcv_smart s;
	const char *c;

	KUNIT_ASSERT_EQ(test, hcv_smart_parse(said, &s, err), 0);
	KUNIT_EXPECT_FALSE(test, s.available);
	KUNIT_EXPECT_STREQ(test, s.message, "?[2Jgone???");
	KUNIT_ASSERT_EQ(test, hcv_smart_parse(attr, &s, err), 0);
	KUNIT_EXPECT_EQ(test, hcv_smart_judge(&s, why), HCV_SMART_FAILING);
	for (c = why; *c; c++)
		KUNIT_EXPECT_TRUE(test, *c >= ' ' && *c <= '~');
}

static int smart_at(const char *value, struct hcv_smart *s)
{
	char text[512], err[HCV_ERR_SIZE];

	snprintf(text, sizeof(text), SCSI("\"temperature\": {\"current\": %s}"),
		 value);
	return hcv_smart_parse(text, s, err);
}

static void smart_temperature(struct kunit *test)
{
	struct hcv_smart s;

	KUNIT_ASSERT_EQ(test, smart_at("34", &s), 0);
	KUNIT_EXPECT_TRUE(test, s.has_temperature && s.temperature == 34);
	KUNIT_ASSERT_EQ(test, smart_at("-3", &s), 0);
	KUNIT_EXPECT_TRUE(test, s.has_temperature && s.temperature == -3);
	KUNIT_ASSERT_EQ(test, smart_at("99999999999", &s), 0);
	KUNIT_EXPECT_TRUE(test, !s.has_temperature && !s.temperature);
	KUNIT_EXPECT_EQ(test, smart_at("\"warm\"", &s), -EINVAL);
}

static void smart_size(struct kunit *test)
{
	char *text = kunit_kzalloc(test, HCV_SMART_TEXT_MAX + 1, 0);
	char err[HCV_ERR_SIZE];
	struct hcv_smart s;
	size_t len;

	strcpy(text, "{" TOOL(0) ", " PASSED "}");
	len = strlen(text);
	memset(text + len, ' ', HCV_SMART_TEXT_MAX - 1 - len);
	KUNIT_EXPECT_EQ(test, hcv_smart_parse(text, &s, err), 0);
	text[HCV_SMART_TEXT_MAX - 1] = ' ';
	KUNIT_EXPECT_EQ(test, hcv_smart_parse(text, &s, err), -EINVAL);
	KUNIT_EXPECT_TRUE(test, strstr(err, "longer"));
}

/* Cut off anywhere it is refused, and with any byte changed nothing breaks. */
static void smart_broken(struct kunit *test)
{
	static const char good[] =
		ATA(ATTR(5, "Reallocated_Sector_Ct", "now", true, 7));
	char text[sizeof(good)], err[HCV_ERR_SIZE], why[HCV_ERR_SIZE];
	struct hcv_smart s;
	unsigned int c;
	size_t i;

	for (i = 0; i < sizeof(good) - 1; i++) {
		memcpy(text, good, i);
		text[i] = '\0';
		KUNIT_ASSERT_EQ(test, hcv_smart_parse(text, &s, err), -EINVAL);
	}
	for (i = 0; i < sizeof(good) - 1; i++) {
		for (c = 1; c < 256; c += 7) {
			memcpy(text, good, sizeof(good));
			text[i] = (char)c;
			if (!hcv_smart_parse(text, &s, err))
				hcv_smart_judge(&s, why);
		}
	}
}

static struct kunit_case smart_test_cases[] = {
	KUNIT_CASE_PARAM(smart_verdict, smart_gen_params),
	KUNIT_CASE_PARAM(smart_refused, refuse_gen_params),
	KUNIT_CASE(smart_words),
	KUNIT_CASE(smart_temperature),
	KUNIT_CASE(smart_size),
	KUNIT_CASE(smart_broken),
	{}
};

static struct kunit_suite smart_suite = {
	.name = "hcv_smart",
	.test_cases = smart_test_cases,
};

kunit_test_suite(smart_suite);
