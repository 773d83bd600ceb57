/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The local API's server, for the core itself.
 */
#ifndef HCV_AGENT_API_H
#define HCV_AGENT_API_H

#include "agent.h"

int hcv_api_init(struct hcv_agent *a);
/** hcv_api_listen() - make the socket and accept; 0 or -errno, logged */
int hcv_api_listen(struct hcv_agent *a);
/** hcv_api_exit() - close all clients and the socket; the loop runs after it */
void hcv_api_exit(struct hcv_agent *a);
/** hcv_api_free() - after the loop's end */
void hcv_api_free(struct hcv_agent *a);

struct hcv_client;

/**
 * struct hcv_api_stream - a command that keeps sending until its client goes
 * @start: loop thread; 0: goes on, the client stays valid until @end;
 *	1: it was answered in full; -1 with @err
 */
struct hcv_api_stream {
	const char *name;
	const struct hcv_api_arg *args;
	int (*start)(struct hcv_agent *a, struct hcv_client *c, int64_t id,
		     struct json_object *args, struct hcv_error *err);
	void (*end)(struct hcv_agent *a, struct hcv_client *c);
};

void hcv_api_stream_register(struct hcv_agent *a,
			     const struct hcv_api_stream *s);
/** hcv_api_send_event() - loop thread; @ev stays with the caller */
void hcv_api_send_event(struct hcv_client *c, int64_t id,
			struct json_object *ev);
/** hcv_api_send_result() - end of a request; takes @result; loop thread */
void hcv_api_send_result(struct hcv_client *c, int64_t id,
			 struct json_object *result);

#endif /* HCV_AGENT_API_H */
