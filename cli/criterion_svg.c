/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hemi criterion --html: the sets of one machine as a diagram, drawn with what was counted. Areas
 * mean nothing; which regions are empty means everything.
 */
#include <glib.h>

#include "cli/criterion.h"

/* The five regions; what is in none of the sets is told below. */
enum region { PRIVILEGED_ONLY, BOTH, USER_BOTH, SENSITIVE_ONLY, USER_ONLY, NEITHER, REGIONS };

static enum region region_of(const struct verdict *v)
{
	bool p = is_privileged(v);

	if (is_user_sensitive(v))
		return p ? USER_BOTH : USER_ONLY;
	if (is_sensitive(v))
		return p ? BOTH : SENSITIVE_ONLY;
	return p ? PRIVILEGED_ONLY : NEITHER;
}

static void number(GString *s, unsigned x, unsigned y, unsigned n, bool bad)
{
	g_string_append_printf(s, "<text x=%u y=%u class=\"n%s\">%u</text>\n", x, y,
			       bad && n ? " no" : "", n);
}

static void members(GString *s, const struct criterion *c, enum region r, const char *what,
		    bool open)
{
	GString *names = g_string_new(NULL);
	unsigned n = 0;

	for (unsigned i = 0; i < c->n; i++)
		if (region_of(&c->v[i]) == r) {
			g_string_append_printf(names, "<code>%s</code> ", c->v[i].name);
			n++;
		}
	if (n)
		g_string_append_printf(s,
				       "<details%s class=names><summary>%s: "
				       "%u</summary><p>%s</p></details>\n",
				       open ? " open" : "", what, n, names->str);
	g_string_free(names, TRUE);
}

void sets_draw(GString *s, const struct criterion *c)
{
	unsigned n[REGIONS] = { 0 };

	for (unsigned i = 0; i < c->n; i++)
		n[region_of(&c->v[i])]++;
	g_string_append_printf(s,
			       "<figure><svg viewBox=\"0 0 360 232\" role=img aria-label=\"%s: %u "
			       "instructions are privileged and "
			       "not sensitive, %u both, %u sensitive and not privileged; of the "
			       "user-sensitive ones %u are "
			       "privileged, %u are not\">\n",
			       c->of->name, n[PRIVILEGED_ONLY], n[BOTH] + n[USER_BOTH],
			       n[SENSITIVE_ONLY] + n[USER_ONLY], n[USER_BOTH], n[USER_ONLY]);
	g_string_append(s, "<circle cx=122 cy=116 r=108 class=p /><circle cx=238 cy=116 r=108 "
			   "class=s />"
			   "<ellipse cx=232 cy=148 rx=82 ry=44 class=u />\n"
			   "<text x=80 y=48>privileged</text><text x=280 y=48>sensitive</text>"
			   "<text x=232 y=180>user-sensitive</text>\n");
	number(s, 70, 122, n[PRIVILEGED_ONLY], false);
	number(s, 180, 88, n[BOTH], false);
	number(s, 190, 155, n[USER_BOTH], false);
	number(s, 290, 92, n[SENSITIVE_ONLY], true);
	number(s, 272, 155, n[USER_ONLY], true);
	g_string_append_printf(s,
			       "</svg><figcaption>Instructions of %s. Theorem 1 holds if nothing "
			       "sensitive is outside "
			       "\"privileged\", Theorem 3 if nothing user-sensitive is. %u "
			       "instructions are in none of the "
			       "sets.</figcaption></figure>\n",
			       c->of->name, n[NEITHER]);
	g_string_append(s, "<div>\n");
	members(s, c, USER_ONLY, "User-sensitive, not privileged", true);
	members(s, c, SENSITIVE_ONLY, "Sensitive for supervisors alone, not privileged", true);
	members(s, c, USER_BOTH, "User-sensitive and privileged", false);
	members(s, c, BOTH, "Sensitive for supervisors alone, privileged", false);
	members(s, c, PRIVILEGED_ONLY, "Privileged, not sensitive", false);
	g_string_append(s, "</div>\n");
}
