// SPDX-License-Identifier: GPL-2.0-only
/*
 * Crash points: die, or wait, at a chosen step, so that tests can sweep over
 * all steps and put them into an order.
 *
 * Each HCV_CRASH_POINT() puts one object into the section hcv_crash; the
 * linker gives the section's bounds, so the table cannot miss an entry.
 */
#include "agent.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t hcv_crash_lock = PTHREAD_MUTEX_INITIALIZER;
static char hcv_crash_name[64];		/* under the lock */
static unsigned int hcv_crash_left;	/* under the lock */
static bool hcv_crash_armed;		/* atomic */

/* set before there are threads */
static struct {
	char name[64];
	unsigned int ms;
} hcv_crash_hold[4];
static unsigned int hcv_crash_nr_hold;

static bool hcv_crash_known(const char *name)
{
	struct hcv_crash_point *p;

	for (p = __start_hcv_crash; p < __stop_hcv_crash; p++)
		if (!strcmp(p->name, name))
			return true;
	return false;
}

int hcv_crash_arm(const char *spec)
{
	const char *colon = strrchr(spec, ':');
	unsigned long n = 1;
	char name[64];
	char *end;

	if (colon) {
		n = strtoul(colon + 1, &end, 10);
		if (*end || end == colon + 1 || !n || n > 1000000)
			return -EINVAL;
	} else {
		colon = spec + strlen(spec);
	}
	if (colon == spec || (size_t)(colon - spec) >= sizeof(name))
		return -EINVAL;
	memcpy(name, spec, colon - spec);
	name[colon - spec] = '\0';
	if (!hcv_crash_known(name))
		return -ENOENT;
	pthread_mutex_lock(&hcv_crash_lock);
	strcpy(hcv_crash_name, name);
	hcv_crash_left = n;
	__atomic_store_n(&hcv_crash_armed, true, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&hcv_crash_lock);
	return 0;
}

int hcv_crash_hold_set(const char *spec)
{
	unsigned int ms, nr = hcv_crash_nr_hold;
	char name[64];
	int n;

	for (;;) {
		if (sscanf(spec, "%63[^:]:%u%n", name, &ms, &n) != 2 ||
		    ms > 60000 || nr == 4)
			return -EINVAL;
		if (!hcv_crash_known(name))
			return -ENOENT;
		strcpy(hcv_crash_hold[nr].name, name);
		hcv_crash_hold[nr++].ms = ms;
		spec += n;
		if (!*spec)
			break;
		if (*spec++ != ',')
			return -EINVAL;
	}
	hcv_crash_nr_hold = nr;
	return 0;
}

static void hcv_crash_wait(const char *name)
{
	struct timespec t;
	unsigned int i;

	for (i = 0; i < hcv_crash_nr_hold; i++) {
		if (strcmp(name, hcv_crash_hold[i].name))
			continue;
		t.tv_sec = hcv_crash_hold[i].ms / 1000;
		t.tv_nsec = hcv_crash_hold[i].ms % 1000 * 1000000L;
		hcv_log(HCV_SEV_WARN, "crash point %s: waiting %u ms", name,
			hcv_crash_hold[i].ms);
		while (nanosleep(&t, &t) && errno == EINTR)
			;
	}
}

void hcv_crash_pass(struct hcv_crash_point *p)
{
	bool die = false;

	__atomic_add_fetch(&p->passes, 1, __ATOMIC_RELAXED);
	if (hcv_crash_nr_hold)
		hcv_crash_wait(p->name);
	if (!__atomic_load_n(&hcv_crash_armed, __ATOMIC_ACQUIRE))
		return;
	pthread_mutex_lock(&hcv_crash_lock);
	if (hcv_crash_left && !strcmp(p->name, hcv_crash_name))
		die = !--hcv_crash_left;
	pthread_mutex_unlock(&hcv_crash_lock);
	if (!die)
		return;
	hcv_log(HCV_SEV_WARN, "crash point %s: killing myself", p->name);
	kill(getpid(), SIGKILL);
	pause();
}

static int hcv_crash_compare(const void *a, const void *b)
{
	const struct hcv_crash_point *const *p = a, *const *q = b;

	return strcmp((*p)->name, (*q)->name);
}

void hcv_crash_list(void)
{
	size_t i, nr = __stop_hcv_crash - __start_hcv_crash;
	const struct hcv_crash_point **p;

	if (!nr)
		return;
	p = calloc(nr, sizeof(*p));
	if (!p) {
		hcv_log(HCV_SEV_ERR, "out of memory");
		return;
	}
	for (i = 0; i < nr; i++)
		p[i] = &__start_hcv_crash[i];
	qsort(p, nr, sizeof(*p), hcv_crash_compare);
	for (i = 0; i < nr; i++)
		if (!i || strcmp(p[i]->name, p[i - 1]->name))
			puts(p[i]->name);
	free(p);
}
