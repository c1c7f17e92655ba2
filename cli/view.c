/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "cli/view.h"

struct view {
	struct machine *m;
	bool pixels;
	struct screen work;		/* the vCPU thread's */
	pthread_mutex_t lock;		/* for what follows */
	struct screen ready;
	bool fresh;			/* ready has not been taken yet */
};

static void exchange(struct screen *a, struct screen *b)
{
	struct screen t = *a;

	*a = *b;
	*b = t;
}

static void view_look(void *arg)
{
	struct view *v = arg;

	if (!screen_changed(v->m) || screen_look(v->m, &v->work, v->pixels))
		return;
	pthread_mutex_lock(&v->lock);
	exchange(&v->work, &v->ready);
	v->fresh = true;
	pthread_mutex_unlock(&v->lock);
}

int view_create(struct view **out, struct machine *m, bool pixels)
{
	struct view *v = calloc(1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	v->m = m;
	v->pixels = pixels;
	pthread_mutex_init(&v->lock, NULL);
	m->look = view_look;
	m->look_arg = v;
	*out = v;
	return 0;
}

void view_destroy(struct view *v)
{
	if (!v)
		return;
	v->m->look = NULL;
	screen_free(&v->work);
	screen_free(&v->ready);
	pthread_mutex_destroy(&v->lock);
	free(v);
}

void view_ask(struct view *v)
{
	machine_request(v->m, ATT_LOOK);
}

bool view_take(struct view *v, struct screen *s)
{
	bool fresh;

	pthread_mutex_lock(&v->lock);
	fresh = v->fresh;
	if (fresh)
		exchange(&v->ready, s);
	v->fresh = false;
	pthread_mutex_unlock(&v->lock);
	return fresh;
}
