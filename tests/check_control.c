/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is typed at the monitor's prompt and what programs send: lines, completion, names of
 * keys, the line editor, and where JSON objects begin and end. No machine runs.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/lineedit.h"
#include "cli/qmp.h"
#include "dev/drive.h"
#include "tests/pc.h"
#include "tests/suite.h"

static struct control *control;
static struct drive drive = { .name = "ide1-cd0", .alias = "cdrom" };

static void setup(void)
{
	pc_setup();
	drive_add(&pc, &drive);
	ck_assert_int_eq(control_create(&control, &pc, NULL), 0);
}

static void teardown(void)
{
	control_destroy(control);
	drive_remove(&pc, &drive);
	pc_teardown();
}

/* --- Lines ------------------------------------------------------------------------------ */

/* The name and the arguments, or "! why". */
static const char *parsed(const char *line)
{
	static char text[512];
	char *why;
	struct call *c = call_from_line(control, line, &why);
	size_t n;

	if (!c) {
		snprintf(text, sizeof(text), "! %s", why ? why : "");
		g_free(why);
		return text;
	}
	n = (size_t)snprintf(text, sizeof(text), "%s", c->verb->name);
	for (unsigned i = 0; i < CALL_ARGS; i++)
		if (c->args[i].text)
			n += (size_t)snprintf(text + n, sizeof(text) - n, " %s=[%s]",
					      c->verb->args[i].name, c->args[i].text);
	call_free(c);
	return text;
}

START_TEST(lines)
{
	ck_assert_str_eq(parsed(""), "! ");
	ck_assert_str_eq(parsed("   "), "! ");
	ck_assert_str_eq(parsed("stop"), "stop");
	ck_assert_str_eq(parsed(" c "), "cont");
	ck_assert_str_eq(parsed("info  status "), "info status");
	ck_assert_str_eq(parsed("?"), "help");
	ck_assert_str_eq(parsed("help stop"), "help command=[stop]");
	ck_assert_str_eq(parsed("screendump a\\ b"), "screendump filename=[a b]");
	ck_assert_str_eq(parsed("screendump \"a b\" txt"),
			 "screendump filename=[a b] format=[txt]");
	ck_assert_str_eq(parsed("screendump \"\""), "screendump filename=[]");
	ck_assert_str_eq(parsed("eject -f cdrom"), "eject force=[-f] device=[cdrom]");
	ck_assert_str_eq(parsed("eject cdrom"), "eject device=[cdrom]");
	ck_assert_str_eq(parsed("change cdrom f"), "change device=[cdrom] filename=[f]");
	ck_assert_str_eq(parsed("x/4i $rip + 8 "), "x format=[/4i] address=[$rip + 8]");
	ck_assert_str_eq(parsed("x /4i 0x10"), "x format=[/4i] address=[0x10]");
	ck_assert_str_eq(parsed("xp 0"), "xp address=[0]");
	ck_assert_str_eq(parsed("sendkey ctrl-alt-f1 50"),
			 "sendkey keys=[ctrl-alt-f1] hold-time=[50]");
}
END_TEST

START_TEST(mistakes)
{
	static const struct { const char *line, *why; } cases[] = {
		{ "nonsense", "no command" }, { "info", "say what" }, { "info x", "say what" },
		{ "stop now", "too much" }, { "screendump", "filename is missing" },
		{ "screendump a gif", "ppm|png|txt" }, { "screendump a ppm b", "too much" },
		{ "sendkey", "keys is missing" }, { "sendkey ctrl-", "no such key" },
		{ "sendkey a x", "no number" }, { "eject", "device is missing" },
		{ "x", "address is missing" }, { "change cdrom", "filename is missing" },
	};

	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		const char *got = parsed(cases[i].line);

		ck_assert_msg(*got == '!' && strstr(got, cases[i].why), "%s: %s", cases[i].line,
			      got);
		ck_assert_ptr_null(strchr(got, '\n'));
	}
}
END_TEST

/* --- Keys ------------------------------------------------------------------------------- */

START_TEST(key_names)
{
	struct value v;
	const char *name;
	uint8_t key;

	ck_assert(keys_parse("ctrl-alt-delete", &v));
	ck_assert_uint_eq(v.nkeys, 3);
	ck_assert_mem_eq(v.keys, "\x1d\x38\xd3", 3);
	ck_assert(keys_parse("0x1e", &v));
	ck_assert_uint_eq(v.keys[0], 0x1e);
	ck_assert(keys_parse("<", &v));
	ck_assert(!keys_parse("", &v));
	ck_assert(!keys_parse("a--b", &v));
	ck_assert(!keys_parse("A", &v));
	ck_assert(!keys_parse("0x", &v));
	ck_assert(!keys_parse("0x100", &v));
	ck_assert(!keys_parse("0x80", &v));
	ck_assert(!keys_parse("a-b-c-d-e-f-g-h-i-j-k-l-m-n-o-p-q", &v));
	for (unsigned i = 0; (name = keys_name(i)); i++)
		ck_assert_msg(key_parse(name, strlen(name), &key) && (key & 0x7f), "%s", name);
}
END_TEST

/* --- Completion ------------------------------------------------------------------------- */

static gint by_name(gconstpointer a, gconstpointer b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* FROM:all of it, with commas */
static const char *completed(const char *line)
{
	static char text[2048];
	size_t from, n;
	GPtrArray *all = line_complete(control, line, strlen(line), &from);

	g_ptr_array_sort(all, by_name);
	n = (size_t)snprintf(text, sizeof(text), "%zu:", from);
	for (unsigned i = 0; i < all->len; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s", i ? "," : "",
				      (char *)all->pdata[i]);
	g_ptr_array_unref(all);
	return text;
}

START_TEST(completion)
{
	ck_assert_str_eq(completed("st"), "0:stop ");
	ck_assert_str_eq(completed(" sy"), "1:system_powerdown ,system_reset ");
	ck_assert_str_eq(completed("i"), "0:info ");
	ck_assert_str_eq(completed("info reg"), "5:registers ");
	ck_assert_str_eq(completed("info registers "), "15:");
	ck_assert_str_eq(completed("eject "), "6:ide1-cd0 ");
	ck_assert_str_eq(completed("eject -f id"), "9:ide1-cd0 ");
	ck_assert_str_eq(completed("eject ide1-cd0 "), "15:");
	ck_assert_str_eq(completed("sendkey ctrl-sp"), "8:ctrl-spc");
	ck_assert_str_eq(completed("screendump a p"), "13:png ,ppm ");
	ck_assert_str_eq(completed("help sto"), "5:stop ");
	ck_assert_str_eq(completed("nonsense "), "9:");
	ck_assert_str_eq(completed("zzz"), "0:");
}
END_TEST

START_TEST(file_completion)
{
	char dir[] = "/tmp/hemi-complete.XXXXXX", line[256], want[256], path[256];
	static const char *const names[] = { "one.iso", "one two", ".hidden" };

	ck_assert_ptr_nonnull(mkdtemp(dir));
	for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		close(open(path, O_CREAT | O_WRONLY, 0600));
	}
	snprintf(path, sizeof(path), "%s/sub", dir);
	mkdir(path, 0700);
	snprintf(line, sizeof(line), "change cdrom %s/", dir);
	snprintf(want, sizeof(want), "13:%s/one.iso ,%s/one\\ two ,%s/sub/", dir, dir, dir);
	ck_assert_str_eq(completed(line), want);
	snprintf(line, sizeof(line), "screendump %s/one\\ t", dir);
	snprintf(want, sizeof(want), "11:%s/one\\ two ", dir);
	ck_assert_str_eq(completed(line), want);
	snprintf(line, sizeof(line), "screendump %s/.h", dir);
	snprintf(want, sizeof(want), "11:%s/.hidden ", dir);
	ck_assert_str_eq(completed(line), want);
	for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	snprintf(path, sizeof(path), "%s/sub", dir);
	rmdir(path);
	rmdir(dir);
}
END_TEST

/* --- The line editor -------------------------------------------------------------------- */

static GString *screen;

static void put(void *arg, const char *text, size_t n)
{
	(void)arg;
	g_string_append_len(screen, text, (gssize)n);
}

static unsigned width(void *arg)
{
	(void)arg;
	return 20;
}

static GPtrArray *complete(void *arg, const char *line, size_t at, size_t *from)
{
	(void)arg;
	return line_complete(control, line, at, from);
}

static const struct lineedit_ops ops = { put, width, complete };

/* What is the line after this was typed, and Enter. */
static const char *typed(struct lineedit *e, const char *keys)
{
	for (; *keys; keys++)
		ck_assert_int_eq(lineedit_feed(e, (unsigned char)*keys), LINE_MORE);
	ck_assert_int_eq(lineedit_feed(e, '\r'), LINE_READY);
	return lineedit_line(e);
}

START_TEST(editing)
{
	struct lineedit *e = lineedit_new("> ", &ops, NULL);
	char long_line[2 * LINE_SIZE];

	screen = g_string_new(NULL);
	ck_assert_str_eq(typed(e, "stop"), "stop");
	ck_assert_str_eq(typed(e, "cnt\033[D\033[Do"), "cont");
	ck_assert_str_eq(typed(e, "xab\177\177"), "x");
	ck_assert_str_eq(typed(e, "one two\027three"), "one three");
	ck_assert_str_eq(typed(e, "gone\025here"), "here");
	ck_assert_str_eq(typed(e, "tail\033[H\013x"), "x");
	ck_assert_str_eq(typed(e, "bc\033OHa\033[Fd\033[1~\033[3~"), "bcd");
	ck_assert_str_eq(typed(e, "one two\033[1;5Dx\033[1;5C!"), "one xtwo!");
	ck_assert_str_eq(typed(e, "lost\003kept"), "kept");
	ck_assert_str_eq(typed(e, "\033[A"), "kept");
	ck_assert_str_eq(typed(e, "\033[A\033[A"), "one xtwo!");
	ck_assert_str_eq(typed(e, "new\020\016!"), "new!");
	ck_assert_str_eq(typed(e, "\303\244\303\266\177x"), "\303\244x");
	ck_assert_str_eq(typed(e, "sto\t"), "stop ");
	ck_assert_str_eq(typed(e, "info reg\t"), "info registers ");
	g_string_truncate(screen, 0);
	ck_assert_str_eq(typed(e, "system_\t"), "system_");
	ck_assert_ptr_nonnull(strstr(screen->str, "system_powerdown"));
	ck_assert_str_eq(typed(e, "\033[99;99x\033O\033\033[Z"), "");
	memset(long_line, 'a', sizeof(long_line) - 1);
	long_line[sizeof(long_line) - 1] = '\0';
	ck_assert_uint_eq(strlen(typed(e, long_line)), LINE_SIZE - 1);
	ck_assert_int_eq(lineedit_feed(e, 4), LINE_END);
	g_string_free(screen, TRUE);
	lineedit_free(e);
}
END_TEST

/* However long the line, what is shown stays on one row. */
START_TEST(one_row)
{
	struct lineedit *e = lineedit_new("> ", &ops, NULL);
	unsigned column = 0;

	screen = g_string_new(NULL);
	for (unsigned i = 0; i < 100; i++)
		lineedit_feed(e, "abcdefghij"[i % 10]);
	for (unsigned i = 0; i < 50; i++)
		lineedit_feed(e, 2);
	for (const char *p = screen->str; *p; p++) {
		if (*p == '\r')
			column = 0;
		else if (*p == '\033')
			p += strcspn(p, "KC");
		else
			ck_assert_uint_lt(++column, 20);
		ck_assert_int_ne(*p, '\n');
	}
	g_string_free(screen, TRUE);
	lineedit_free(e);
}
END_TEST

/* --- QMP's form -------------------------------------------------------------------------- */

START_TEST(scanning)
{
	static const char text[] = " {\"a\": \"}\\\"{\"}\r\n[1]x{y}\n{'it': '\"}'}{";
	static const struct { enum qmp_scanned what; const char *is; } want[] = {
		{ QMP_OBJECT, "{\"a\": \"}\\\"{\"}" }, { QMP_OBJECT, "[1]" }, { QMP_GARBAGE, NULL },
		{ QMP_OBJECT, "{'it': '\"}'}" }, { QMP_MORE, NULL },
	};

	for (unsigned step = 1; step < sizeof(text); step++) {
		struct qmp_scanner s;
		unsigned i = 0;
		size_t at = 0;

		qmp_scanner_init(&s);
		while (at < strlen(text)) {
			enum qmp_scanned what;
			size_t n = strlen(text) - at < step ? strlen(text) - at : step;

			at += qmp_scan(&s, text + at, n, &what);
			if (what == QMP_MORE)
				continue;
			ck_assert_int_eq(what, want[i].what);
			if (what == QMP_OBJECT)
				ck_assert_str_eq(s.text->str, want[i].is);
			i++;
		}
		ck_assert_uint_eq(i, 4);
		qmp_scanner_free(&s);
	}
}
END_TEST

static void done(void *arg)
{
	*(bool *)arg = true;
}

/* The answer to a request that needs no machine. */
static char *answer(struct qmp_session *s, const char *text)
{
	JsonNode *id;
	char *line;
	bool is_done = false;
	struct call *c = qmp_request(s, text, strlen(text), &id, &line);

	if (c) {
		c->done = done;
		c->arg = &is_done;
		call_submit(c);
		ck_assert(is_done);
		line = qmp_answer(c, id);
		call_free(c);
	}
	g_clear_pointer(&id, json_node_unref);
	return line;
}

static void expect(struct qmp_session *s, const char *text, const char *want)
{
	char *got = answer(s, text);

	ck_assert_msg(strstr(got, want) != NULL, "%s: %s", text, got);
	ck_assert_ptr_eq(strstr(got, "\r\n"), got + strlen(got) - 2);
	g_free(got);
}

static void expect_args(struct qmp_session *s, const char *name, const char *args,
			const char *want)
{
	char *text = g_strdup_printf("{\"execute\":\"%s\",\"arguments\":{%s}}", name, args);

	expect(s, text, want);
	g_free(text);
}

START_TEST(requests)
{
	struct qmp_session s = { .control = control };

	expect(&s, "{\"execute\":\"query-name\"}", "CommandNotFound");
	expect(&s, "{\"execute\":\"qmp_capabilities\",\"id\":7}", "{\"return\":{},\"id\":7}");
	expect(&s, "{\"execute\":\"query-name\",\"id\":\"a\"}", "{\"return\":{},\"id\":\"a\"}");
	expect(&s, "{\"execute\":\"query-name\",\"x\":1}", "GenericError");
	expect(&s, "{\"execute\":{}}", "must be a string");
	expect(&s, "{\"execute\":\"query-name\",\"arguments\":7}", "must be an object");
	expect(&s, "{}", "lacks member");
	expect(&s, "{,}", "JSON parse error");
	expect(&s, "[1]", "must be a JSON object");
	expect_args(&s, "send-key", "\"keys\":[]", "at least one key");
	expect_args(&s, "send-key", "\"keys\":[{\"type\":\"number\",\"data\":\"a\"}]", "expected");
	expect_args(&s, "eject", "\"id\":\"a\",\"device\":\"b\"", "given twice");
	expect_args(&s, "human-monitor-command", "\"command-line\":\"info version\"",
		    "{\"return\":\"hemi ");
	expect_args(&s, "human-monitor-command", "\"command-line\":\"\"", "{\"return\":\"\"}");
	expect_args(&s, "human-monitor-command", "\"command-line\":\"zz\"", "no command");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("control");
	TCase *t = tcase_create("control");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, lines);
	tcase_add_test(t, mistakes);
	tcase_add_test(t, key_names);
	tcase_add_test(t, completion);
	tcase_add_test(t, file_completion);
	tcase_add_test(t, editing);
	tcase_add_test(t, one_row);
	tcase_add_test(t, scanning);
	tcase_add_test(t, requests);
	suite_add_tcase(s, t);
	return suite_run(s);
}
