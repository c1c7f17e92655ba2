/* SPDX-License-Identifier: BSD-2-Clause */
/* What hemi criterion prints for people: a table and the theorems, or the story of each verdict. */
#include <glib.h>
#include <stdio.h>

#include "cli/criterion.h"

/* The sets of a case, as the theorems name them. */
struct sets { GString *privileged, *sensitive, *user, *theorem1, *theorem3; unsigned n[5]; };

static void set_add(GString *s, unsigned *n, const char *name)
{
	g_string_append_printf(s, "%s%s", s->len ? ", " : "", name);
	++*n;
}

static void sets_make(struct sets *s, const struct criterion *c)
{
	*s = (struct sets){g_string_new(NULL), g_string_new(NULL), g_string_new(NULL),
			   g_string_new(NULL), g_string_new(NULL), {0}};
	for (unsigned i = 0; i < c->n; i++) {
		const struct verdict *v = &c->v[i];

		if (is_privileged(v))
			set_add(s->privileged, &s->n[0], v->name);
		if (is_sensitive(v))
			set_add(s->sensitive, &s->n[1], v->name);
		if (is_user_sensitive(v))
			set_add(s->user, &s->n[2], v->name);
		if (is_sensitive(v) && !is_privileged(v))
			set_add(s->theorem1, &s->n[3], v->name);
		if (is_user_sensitive(v) && !is_privileged(v))
			set_add(s->theorem3, &s->n[4], v->name);
	}
}

static void sets_free(struct sets *s)
{
	g_string_free(s->privileged, TRUE);
	g_string_free(s->sensitive, TRUE);
	g_string_free(s->user, TRUE);
	g_string_free(s->theorem1, TRUE);
	g_string_free(s->theorem3, TRUE);
}

static const char *why(const struct verdict *v)
{
	const struct witness *w = v->user_control.found     ? &v->user_control
				  : v->user_behaviour.found ? &v->user_behaviour
				  : v->control.found        ? &v->control
							    : &v->behaviour;
	static char text[160];

	if (w->pair == PAIRS)
		snprintf(text, sizeof(text), "changes %s", w->what);
	else
		snprintf(text, sizeof(text), "%s shows: %s", w->what, pair_text(w->pair));
	return text;
}

const char *criterion_privileged(const struct verdict *v)
{
	return is_privileged(v) ? "yes" : v->trapped ? "sometimes" : "no";
}

const char *criterion_depends(const struct verdict *v)
{
	static char text[4];
	unsigned on = depends_on(v);

	for (unsigned i = 0; i < 3; i++)
		text[i] = on >> i & 1 ? "MLR"[i] : '-';
	return on ? text : "-";
}

void criterion_print(const struct criterion *c)
{
	struct sets s;

	sets_make(&s, c);
	printf("%s: %s\n%u instructions, %u forms, %" G_GUINT64_FORMAT " runs, %.1f s\n\n",
	       c->of->name, c->of->what, c->n, c->forms, c->runs, c->seconds);
	printf("%-20s %-11s %-8s %-10s %-5s why\n", "sensitive", "privileged", "control",
	       "behaviour", "user");
	for (unsigned i = 0; i < c->n; i++) {
		const struct verdict *v = &c->v[i];

		if (is_sensitive(v))
			printf("%-20s %-11s %-8s %-10s %-5s %s\n", v->name,
			       criterion_privileged(v),
			       v->control.found || v->user_control.found ? "yes" : "-",
			       criterion_depends(v), is_user_sensitive(v) ? "yes" : "-", why(v));
	}
	puts("\nbehaviour: depends on the mode (M), on the program's location or the supervisor's "
	     "map of memory (L),\n"
	     "on another resource (R).");
	printf("\nTheorem 1 (every sensitive instruction is privileged) %s",
	       s.n[3] ? "fails for:\n  " : "holds\n");
	if (s.n[3])
		printf("%s\n", s.theorem1->str);
	printf("Theorem 3 (every user-sensitive instruction is privileged) %s",
	       s.n[4] ? "fails for:\n  " : "holds\n");
	if (s.n[4])
		printf("%s\n", s.theorem3->str);
	sets_free(&s);
}

void criterion_stories(const struct criterion *c)
{
	for (unsigned i = 0; i < c->n; i++) {
		const struct verdict *v = &c->v[i];
		const struct { const char *says; const struct witness *w; } stories[] = {
			{ "Control-sensitive, in user mode:", &v->user_control },
			{ "Control-sensitive:", &v->control },
			{ "Behaviour-sensitive, among user states:", &v->user_behaviour },
			{ "Behaviour-sensitive:", &v->behaviour },
		};

		printf("%s on %s\n", v->name, c->of->what);
		printf("Privileged: %s. User mode went on %u times, and trapped %u times where "
		       "supervisor mode went on.\n",
		       criterion_privileged(v), v->passed, v->trapped);
		if (!is_sensitive(v))
			puts("Not sensitive: no pair of states led to results that differ in more "
			     "than the states did, and no "
			     "resource changed.");
		for (size_t k = 0; k < ARRAY_LEN(stories); k++)
			if (stories[k].w->found) {
				puts(stories[k].says);
				criterion_explain(c->of, stories[k].w);
			}
		putchar('\n');
	}
}
