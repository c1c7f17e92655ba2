/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hemi criterion --html: everything that was found as one page that needs nothing else. On a
 * narrow screen the rows of its tables become cards.
 */
#include <errno.h>
#include <glib.h>
#include <stdio.h>
#include <string.h>

#include "cli/criterion.h"

struct page { FILE *f; GString *overview, *body; };

static const char head[] =
	"<!doctype html>\n<html lang=en><head><meta charset=utf-8>\n"
	"<meta name=viewport content=\"width=device-width,initial-scale=1\">\n"
	"<title>hemi criterion: Popek and Goldberg, tried on every instruction</title>\n<style>\n"
	":root{color-scheme:light "
	"dark;--line:#8886;--bad:#b03a2e;--good:#1d7a42;--p:#2e86c155;--s:#d3540055;--u:#8e44ad66;-"
	"-card:#8881}\n"
	"@media(prefers-color-scheme:dark){:root{--bad:#ff8a7a;--good:#6fdc9a}}\n"
	"*{box-sizing:border-box}body{font:16px/1.5 system-ui,sans-serif;max-width:72rem;margin:0 "
	"auto;padding:1rem;overflow-wrap:anywhere}\n"
	"h1{font-size:1.7rem;line-height:1.2}h2{font-size:1.35rem;line-height:1.25;margin-top:2."
	"5rem;border-top:2px solid var(--line);"
	"padding-top:1rem}\n"
	"table{border-collapse:collapse;width:100%;margin:1rem "
	"0}th,td{text-align:left;vertical-align:top;padding:.4rem .6rem;"
	"border-bottom:1px solid var(--line)}\n"
	"code{font-family:ui-monospace,monospace;font-size:.95em}.bad{color:var(--bad);font-weight:"
	"600}.good{color:var(--good)}\n"
	".names code{display:inline-block;border:1px solid "
	"var(--line);border-radius:.3rem;padding:0 .4rem;margin:.1rem 0}\n"
	"summary{cursor:pointer;padding:.2rem 0}td summary{padding:0}details p{margin:.4rem 0 "
	".4rem 1rem}\n"
	"figure{margin:1rem "
	"0}figcaption{font-size:.9rem;opacity:.85}svg{display:block;width:100%;height:auto}\n"
	"svg text{fill:currentColor;font:14px system-ui,sans-serif;text-anchor:middle}svg "
	".n{font-size:22px;font-weight:600}"
	"svg .no{fill:var(--bad)}\n"
	".p{fill:var(--p);stroke:#2e86c1}.s{fill:var(--s);stroke:#d35400}.u{fill:var(--u);stroke:#"
	"8e44ad;stroke-dasharray:5 3}\n"
	"svg .d{fill:#27ae6066;stroke:var(--good)}svg .i{fill:var(--card);stroke:var(--line)}svg "
	".c{font-size:13px}\n"
	".panels{display:grid;grid-template-columns:repeat(auto-fit,minmax(9.5rem,1fr));gap:1rem;"
	"max-width:56rem}\n"
	"@media(min-width:60rem){.sets{display:grid;grid-template-columns:26rem 1fr;gap:0 "
	"2rem;align-items:start}}\n"
	"@media(max-width:59.99rem){.sets figure{max-width:28rem}}\n"
	"@media(max-width:44rem){thead{display:none}tr{display:block;border-bottom:1px solid "
	"var(--line);padding:.6rem 0}"
	"td{display:flex;gap:.8rem;border:0;padding:.15rem "
	"0}td::before{content:attr(data-l);flex:0 0 7rem;opacity:.75}"
	"td>*{min-width:0}}\n</style></head><body>\n"
	"<h1>Popek and Goldberg, tried on every instruction</h1>\n"
	"<p>A virtual machine monitor can run a program directly on the processor if every "
	"instruction that could tell "
	"or change on what machine it runs <em>traps</em> in user mode. Here no list says which "
	"ones those are: every "
	"instruction of a processor model was run from pairs of machine states that differ in one "
	"thing only, and what "
	"came of it decides.</p>\n<ul>\n"
	"<li><b>Privileged</b>: traps in user mode where it does not in supervisor mode, "
	"always.</li>\n"
	"<li><b>Control-sensitive</b>: changes a resource (the mode, a segment, a control "
	"register, a port) without a "
	"trap.</li>\n"
	"<li><b>Behaviour-sensitive</b>: what it does depends on the <em>mode</em>, the "
	"<em>location</em> of the program "
	"or a <em>resource</em>. A program that was moved together with its contents must not "
	"notice.</li>\n"
	"<li><b>User-sensitive</b>: either of them, among user states alone.</li>\n</ul>\n"
	"<p><b>Theorem 1</b> (a virtual machine monitor can be built) wants every sensitive "
	"instruction to be privileged; "
	"<b>Theorem 3</b> (a hybrid one, which interprets the supervisor) only every "
	"user-sensitive one.</p>\n";

struct page *page_open(const char *file)
{
	FILE *f = fopen(file, "w");
	struct page *p;

	if (!f)
		return NULL;
	p = g_new0(struct page, 1);
	*p = (struct page){ f, g_string_new(NULL), g_string_new(NULL) };
	return p;
}

static void cell(GString *s, const char *label, const char *class, const char *text)
{
	char *safe = g_markup_escape_text(text, -1);

	g_string_append_printf(s, "<td data-l=\"%s\"><span class=\"%s\">%s</span></td>", label,
			       class, safe);
	g_free(safe);
}

static void witness(GString *s, const char *says, const struct witness *w)
{
	char *what = g_markup_escape_text(w->what, -1);

	if (w->found) {
		g_string_append_printf(s, "<p>%s in %s mode: <code>", says,
				       w->user ? "user" : "supervisor");
		for (unsigned i = 0; i < w->length; i++)
			g_string_append_printf(s, "%s%02x", i ? " " : "", w->bytes[i]);
		if (w->pair == PAIRS)
			g_string_append(s, "</code> does not trap, and ");
		else
			g_string_append_printf(s, "</code> from two states that differ in %s: ",
					       pair_text(w->pair));
		g_string_append_printf(s,
				       w->pair == PAIRS ? "%s goes from %" G_GINT64_MODIFIER
							  "x to %" G_GINT64_MODIFIER "x.</p>"
							: "%s is %" G_GINT64_MODIFIER
							  "x after one and %" G_GINT64_MODIFIER
							  "x after the other.</p>",
				       what, w->value[0], w->value[1]);
	}
	g_free(what);
}

static const struct host_verdict *host_of(const struct host_report *host, const struct verdict *v)
{
	for (unsigned i = 0; host && i < host->n; i++)
		if (host->v[i].of == v)
			return &host->v[i];
	return NULL;
}

static void host_cell(GString *s, const struct host_report *host, const struct verdict *v)
{
	const struct host_verdict *h = host_of(host, v);
	unsigned bad = h ? h->count[HOST_SPOOFED] + h->count[HOST_SILENT] : 0;
	char text[80] = "-";

	if (bad)
		snprintf(text, sizeof(text), "%s, %u of %u held; strict: %u",
			 host_kind_names[host_worst(h)], h->held[0], bad, h->held[1]);
	else if (h && h->count[HOST_TRAPPED] + h->count[HOST_AGREED])
		snprintf(text, sizeof(text), "%s", host_kind_names[host_worst(h)]);
	cell(s, host->engine, bad && bad > h->held[0] ? "bad" : "", text);
}

static void host_witness(GString *s, const struct host_report *host, const struct verdict *v)
{
	const struct host_verdict *h = host_of(host, v);
	char *what;

	if (!h || host_worst(h) < HOST_SPOOFED)
		return;
	what = g_markup_escape_text(h->what, -1);
	g_string_append_printf(s, "<p>On %s: %s should be %" G_GINT64_MODIFIER "x and is %"
			       G_GINT64_MODIFIER "x.</p>", host->engine, what, h->interp, h->host);
	g_free(what);
}

static void instruction(GString *s, const struct verdict *v, const struct host_report *host)
{
	static const char *const sorts[] = { "mode", "location", "resource" };
	const unsigned on = depends_on(v);
	GString *depends = g_string_new(NULL);

	for (unsigned i = 0; i < 3; i++)
		if (on >> i & 1)
			g_string_append_printf(depends, "%s%s", depends->len ? ", " : "", sorts[i]);
	g_string_append(s, "<tr>");
	cell(s, "instruction", is_privileged(v) ? "good" : "bad", v->name);
	cell(s, "privileged", "", criterion_privileged(v));
	cell(s, "changes", "",
	     v->user_control.found ? v->user_control.what
	     : v->control.found    ? v->control.what
				   : "-");
	cell(s, "depends on", "", depends->len ? depends->str : "-");
	cell(s, "user-sensitive", "", is_user_sensitive(v) ? "yes" : "-");
	for (unsigned e = 0; host && e < HOST_ENGINES; e++)
		if (!host[e].why[0])
			host_cell(s, &host[e], v);
	g_string_append(s, "<td data-l=\"witness\"><details><summary>show</summary>");
	witness(s, "Changes a resource", &v->user_control);
	witness(s, "Changes a resource", &v->control);
	witness(s, "Depends on more than it should", &v->user_behaviour);
	witness(s, "Depends on more than it should", &v->behaviour);
	for (unsigned e = 0; host && e < HOST_ENGINES; e++)
		if (!host[e].why[0])
			host_witness(s, &host[e], v);
	g_string_append(s, "</details></td></tr>\n");
	g_string_free(depends, TRUE);
}

/* How many instructions break a theorem. */
static unsigned theorem(GString *s, const struct criterion *c, unsigned number)
{
	unsigned n = 0;

	for (unsigned i = 0; i < c->n; i++)
		n += !is_privileged(&c->v[i]) &&
		     (number == 1 ? is_sensitive(&c->v[i]) : is_user_sensitive(&c->v[i]));
	if (n)
		g_string_append_printf(s,
				       "<p><b>Theorem %u</b> <span class=bad>fails</span> for "
				       "%u.</p>\n",
				       number, n);
	else
		g_string_append_printf(
			s, "<p><b>Theorem %u</b> <span class=good>holds</span>.</p>\n", number);
	return n;
}

static void overview(GString *s, const struct criterion *c, unsigned one, unsigned three)
{
	char text[40];

	g_string_append_printf(s, "<tr><td data-l=\"machine\"><a href=\"#%s\">%s</a></td>",
			       c->of->name, c->of->name);
	cell(s, "what", "", c->of->what);
	snprintf(text, sizeof(text), one ? "fails for %u" : "holds", one);
	cell(s, "Theorem 1", one ? "bad" : "good", text);
	snprintf(text, sizeof(text), three ? "fails for %u" : "holds", three);
	cell(s, "Theorem 3", three ? "bad" : "good", text);
	g_string_append(s, "</tr>\n");
}

void page_case(struct page *p, const struct criterion *c, const struct host_report *host)
{
	GString *s = p->body;
	unsigned one, three;

	g_string_append_printf(s,
			       "<h2 id=\"%s\">%s: %s</h2>\n<p>%u instructions in %u forms, run "
			       "%" G_GUINT64_FORMAT " times in %.1f s.",
			       c->of->name, c->of->name, c->of->what, c->n, c->forms, c->runs,
			       c->seconds);
	for (unsigned e = 0; host && e < HOST_ENGINES; e++) {
		if (host[e].why[0])
			g_string_append_printf(s, " There is no %s here: %s.", host[e].engine,
					       host[e].why);
		else
			g_string_append_printf(s, " %u runs as user code of this host on %s.",
					       host[e].runs - host[e].refused, host[e].engine);
		if (host[e].refused)
			g_string_append_printf(s, " %u it does not run: %s.", host[e].refused,
					       host[e].why_refused);
	}
	g_string_append(s, "</p>\n<div class=sets>\n");
	sets_draw(s, c);
	g_string_append(s, "</div>\n");
	one = theorem(s, c, 1);
	three = theorem(s, c, 3);
	overview(p->overview, c, one, three);
	g_string_append(s, "<table><thead><tr><th>instruction<th>privileged<th>changes<th>depends "
			   "on"
			   "<th>user-sensitive");
	for (unsigned e = 0; host && e < HOST_ENGINES; e++)
		if (!host[e].why[0])
			g_string_append_printf(s, "<th>on this host: %s", host[e].engine);
	g_string_append(s, "<th>witness</tr></thead>\n");
	for (unsigned i = 0; i < c->n; i++)
		if (is_sensitive(&c->v[i]))
			instruction(s, &c->v[i], host);
	g_string_append(s, "</table>\n");
}

int page_close(struct page *p)
{
	GString *gate = g_string_new(NULL);
	int err = gate_draw(gate);

	fprintf(p->f,
		"%s<table><thead><tr><th>machine<th>what<th>Theorem 1<th>Theorem "
		"3</tr></thead>\n%s</table>\n<p><a href=\"#gate\">The gate</a>: which user states "
		"run directly.</p>\n%s%s"
		"<p>Made by " PACKAGE_STRING ".</p></body></html>\n",
		head, p->overview->str, p->body->str, gate->str);
	if (!err && ferror(p->f))
		err = -EIO;
	if (fclose(p->f) && !err)
		err = -errno;
	g_string_free(gate, TRUE);
	g_string_free(p->overview, TRUE);
	g_string_free(p->body, TRUE);
	g_free(p);
	return err;
}
