/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One table of all counters, walked twice: for people and as JSON. It knows
 * where a number stands and what it is called, never what it means.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/report.h"
#include "cli/stats.h"

enum kind { SECONDS, COUNT, UNSIGNED };

static const struct row {
	const char *group, *name;
	enum kind kind;
	size_t at;
} rows[] = {
#define ROW(kind, group, name)	{ #group, #name, kind, offsetof(struct stats, group.name) }
	ROW(SECONDS, seconds, total),
	ROW(SECONDS, seconds, interpreter),
	ROW(SECONDS, seconds, direct),
	ROW(SECONDS, seconds, crossing),
	ROW(SECONDS, seconds, shadow),
	ROW(SECONDS, seconds, idle),
	ROW(COUNT, instructions, supervisor),
	ROW(COUNT, instructions, user_interpreted),
	ROW(COUNT, shadow, fills),
	ROW(COUNT, shadow, true_faults),
	ROW(COUNT, shadow, hidden_faults),
	ROW(COUNT, shadow, ad_faults),
	ROW(COUNT, shadow, device_faults),
	ROW(COUNT, shadow, table_writes),
	ROW(COUNT, shadow, code_writes),
	ROW(COUNT, shadow, prefilled),
	ROW(COUNT, shadow, prefill_sampled),
	ROW(COUNT, shadow, sampled_used),
	ROW(COUNT, shadow, sampled_wasted),
	ROW(COUNT, shadow, unmapped),
	ROW(COUNT, shadow, roots),
	ROW(COUNT, shadow, moves),
	ROW(COUNT, shadow, sink_calls),
	ROW(COUNT, shadow, sink_ops),
	ROW(COUNT, gate, right),
	ROW(COUNT, gate, too_early),
	ROW(COUNT, gate, too_late),
	ROW(SECONDS, gate, lost),
	ROW(COUNT, scanner, pages_scanned),
	ROW(COUNT, scanner, pages_refused),
	ROW(COUNT, scanner, guards_hit),
	ROW(UNSIGNED, stubs, live),
	ROW(UNSIGNED, stubs, made),
	ROW(COUNT, interpreter, traces),
	ROW(COUNT, interpreter, decoded),
	ROW(COUNT, interpreter, flushes),
#undef ROW
};

static const struct list {
	const char *name;
	size_t at, max;
} lists[] = {
	{ "by_reason", offsetof(struct stats, by_reason), ARRAY_LEN(((struct stats *)0)->by_reason) },
	{ "by_engine", offsetof(struct stats, by_engine), ARRAY_LEN(((struct stats *)0)->by_engine) },
	{ "gate_refusals", offsetof(struct stats, gate_refusals),
	  ARRAY_LEN(((struct stats *)0)->gate_refusals) },
};

static int64_t row_count(const struct stats *s, const struct row *r)
{
	const char *p = (const char *)s + r->at;

	return r->kind == UNSIGNED ? (int64_t)*(const unsigned *)p : *(const int64_t *)p;
}

static double row_seconds(const struct stats *s, const struct row *r)
{
	return *(const double *)((const char *)s + r->at);
}

static const struct stats_count *list_counts(const struct stats *s, const struct list *l)
{
	return (const struct stats_count *)((const char *)s + l->at);
}

static bool same_group(size_t i, size_t j)
{
	return strcmp(rows[i].group, rows[j].group) == 0;
}

/* --- For people ------------------------------------------------------------------ */

static void group_print(FILE *f, const char *group, const char *name)
{
	fprintf(f, "%-14s %-22s", group, name);
}

static void row_print(const struct stats *s, size_t i, FILE *f)
{
	const struct row *r = &rows[i];
	double total = s->seconds.total;

	group_print(f, i && same_group(i, i - 1) ? "" : r->group, r->name);
	if (r->kind == SECONDS)
		fprintf(f, "%16.3f %5.1f%%\n", row_seconds(s, r),
			total > 0 ? 100 * row_seconds(s, r) / total : 0);
	else
		fprintf(f, "%16lld\n", (long long)row_count(s, r));
}

static void list_print(const struct stats *s, const struct list *l, FILE *f)
{
	const struct stats_count *c = list_counts(s, l);
	const char *title = l->name;

	for (size_t i = 0; i < l->max && c[i].name; i++) {
		if (!c[i].count)
			continue;
		group_print(f, title, c[i].name);
		fprintf(f, "%16llu\n", (unsigned long long)c[i].count);
		title = "";
	}
}

void stats_print(const struct stats *s, FILE *f)
{
	group_print(f, "engine", s->engine ? s->engine : "");
	fprintf(f, "%16s\n", s->direct ? s->direct : "");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		row_print(s, i, f);
	group_print(f, "crossings", "total");
	fprintf(f, "%16llu\n", (unsigned long long)s->crossings);
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		list_print(s, &lists[i], f);
}

/* --- For programs ---------------------------------------------------------------- */

static void list_build(JsonBuilder *b, const struct stats *s, const struct list *l)
{
	const struct stats_count *c = list_counts(s, l);

	report_object(b, l->name);
	for (size_t i = 0; i < l->max && c[i].name; i++)
		report_int(b, c[i].name, (int64_t)c[i].count);
	json_builder_end_object(b);
}

static void rows_build(JsonBuilder *b, const struct stats *s)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (i == 0 || !same_group(i, i - 1)) {
			report_object(b, rows[i].group);
		}
		json_builder_set_member_name(b, rows[i].name);
		if (rows[i].kind == SECONDS)
			json_builder_add_double_value(b, row_seconds(s, &rows[i]));
		else
			json_builder_add_int_value(b, row_count(s, &rows[i]));
		if (i + 1 == ARRAY_LEN(rows) || !same_group(i, i + 1))
			json_builder_end_object(b);
	}
}

JsonNode *stats_node(const struct stats *s)
{
	JsonBuilder *b = json_builder_new();
	JsonNode *root;

	json_builder_begin_object(b);
	report_text(b, "engine", s->engine);
	report_text(b, "direct", s->direct);
	rows_build(b, s);
	report_object(b, "crossings");
	report_int(b, "total", (int64_t)s->crossings);
	list_build(b, s, &lists[0]);
	list_build(b, s, &lists[1]);
	json_builder_end_object(b);
	list_build(b, s, &lists[2]);
	json_builder_end_object(b);

	root = json_builder_get_root(b);
	g_object_unref(b);
	return root;
}

static char *stats_json(const struct stats *s, gsize *len)
{
	JsonNode *root = stats_node(s);
	char *text = report_string(root, len);

	json_node_free(root);
	return text;
}

/* --- The file ------------------------------------------------------------------- */

/* Pipes, terminals, links (/dev/stdout) and the like are written to, not replaced. */
static bool in_place(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && !S_ISREG(st.st_mode);
}

/* Standard output by another name is gone on with where it is. */
static int open_in_place(const char *path)
{
	struct stat out, st;

	if (stat(path, &st) == 0 && fstat(STDOUT_FILENO, &out) == 0 && st.st_dev == out.st_dev &&
	    st.st_ino == out.st_ino)
		return fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0);
	return open(path, O_WRONLY | O_TRUNC | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
}

/* Opens what will be written; *temp is the name to rename, or NULL. */
static int file_open(const char *path, char **temp)
{
	mode_t mask = umask(0);
	int fd;

	umask(mask);
	*temp = NULL;
	if (in_place(path)) {
		fd = open_in_place(path);
		return fd < 0 ? -errno : fd;
	}
	/* Renaming would not ask the old file's permission. */
	if (access(path, F_OK) == 0 && access(path, W_OK) < 0)
		return -errno;
	*temp = g_strdup_printf("%s.XXXXXX", path);
	fd = g_mkstemp_full(*temp, O_WRONLY | O_CLOEXEC, (int)(0666 & ~mask));
	if (fd >= 0)
		return fd;
	fd = -errno;
	g_free(*temp);
	*temp = NULL;
	return fd;
}

int stats_check(const char *path)
{
	char *temp;
	int fd = file_open(path, &temp);

	if (fd < 0)
		return fd;
	close(fd);
	if (temp)
		unlink(temp);
	g_free(temp);
	return 0;
}

int stats_write(const struct stats *s, const char *path)
{
	gsize len, done = 0;
	char *temp, *json;
	int err = 0, fd = file_open(path, &temp);

	if (fd < 0)
		return fd;
	json = stats_json(s, &len);
	json[len++] = '\n';	/* over the terminating NUL */
	while (done < len && !err) {
		ssize_t n = write(fd, json + done, len - done);

		if (n >= 0)
			done += (gsize)n;
		else if (errno != EINTR)
			err = -errno;
	}
	if (close(fd) < 0 && !err)
		err = -errno;
	if (temp && !err && rename(temp, path) < 0)
		err = -errno;
	if (temp && err)
		unlink(temp);
	g_free(temp);
	g_free(json);
	return err;
}
