/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdio.h>
#include <string.h>

#include "cli/qmp.h"

/* --- Scanning ----------------------------------------------------------------------------- */

void qmp_scanner_init(struct qmp_scanner *s)
{
	*s = (struct qmp_scanner){ .text = g_string_new(NULL) };
}

void qmp_scanner_free(struct qmp_scanner *s)
{
	g_string_free(s->text, TRUE);
}

static enum qmp_scanned garbage(struct qmp_scanner *s, const char *why)
{
	s->why = why;
	s->depth = 0;
	s->quote = '\0';
	s->escaped = false;
	s->skipping = true;
	return QMP_GARBAGE;
}

static enum qmp_scanned scan_inside(struct qmp_scanner *s, char c)
{
	if (s->text->len == QMP_MAX)
		return garbage(s, "JSON parse error, an object of more than 256 KiB");
	g_string_append_c(s->text, c);
	if (s->quote) {
		if (!s->escaped && c == s->quote)
			s->quote = '\0';
		s->escaped = !s->escaped && c == '\\';
		return QMP_MORE;
	}
	switch (c) {
	case '"': case '\'':
		s->quote = c;
		break;
	case '{': case '[':
		if (++s->depth > QMP_DEPTH)
			return garbage(s, "JSON parse error, nested too deeply");
		break;
	case '}': case ']':
		if (!--s->depth)
			return QMP_OBJECT;
		break;
	}
	return QMP_MORE;
}

static enum qmp_scanned scan_byte(struct qmp_scanner *s, char c)
{
	if (s->skipping) {
		s->skipping = c != '\n';
		return QMP_MORE;
	}
	if (s->depth)
		return scan_inside(s, c);
	if (c == ' ' || c == '\t' || c == '\r' || c == '\n')
		return QMP_MORE;
	g_string_truncate(s->text, 0);
	if (c == '{' || c == '[')
		return scan_inside(s, c);
	return garbage(s, "JSON parse error, expecting an object");
}

size_t qmp_scan(struct qmp_scanner *s, const char *p, size_t n, enum qmp_scanned *what)
{
	size_t i = 0;

	*what = QMP_MORE;
	while (i < n && *what == QMP_MORE)
		*what = scan_byte(s, p[i++]);
	return i;
}

/* --- Answers ------------------------------------------------------------------------------ */

/* Takes the object. */
static char *line_of(JsonObject *o, JsonNode *id)
{
	JsonNode *n = json_node_new(JSON_NODE_OBJECT);
	char *text, *line;

	if (id)
		json_object_set_member(o, "id", json_node_copy(id));
	json_node_take_object(n, o);
	text = json_to_string(n, FALSE);
	line = g_strconcat(text, "\r\n", NULL);
	g_free(text);
	json_node_unref(n);
	return line;
}

char *qmp_greeting(void)
{
	JsonObject *o = json_object_new(), *inner = json_object_new(), *version = json_object_new();
	JsonObject *number = json_object_new();
	int major = 0, minor = 0;

	sscanf(PACKAGE_VERSION, "%d.%d", &major, &minor);
	json_object_set_int_member(number, "micro", 0);
	json_object_set_int_member(number, "minor", minor);
	json_object_set_int_member(number, "major", major);
	json_object_set_object_member(version, "qemu", number);
	json_object_set_string_member(version, "package", "hemi " PACKAGE_VERSION);
	json_object_set_object_member(inner, "version", version);
	json_object_set_array_member(inner, "capabilities", json_array_new());
	json_object_set_object_member(o, "QMP", inner);
	return line_of(o, NULL);
}

char *qmp_error(const char *class, const char *desc, JsonNode *id)
{
	JsonObject *o = json_object_new(), *error = json_object_new();
	/* A client's own bytes may be in it, and they need not be text. */
	char *valid = g_utf8_make_valid(desc, -1);

	json_object_set_string_member(error, "class", class);
	json_object_set_string_member(error, "desc", valid);
	json_object_set_object_member(o, "error", error);
	g_free(valid);
	return line_of(o, id);
}

static char *empty_return(JsonNode *id)
{
	JsonObject *o = json_object_new();

	json_object_set_object_member(o, "return", json_object_new());
	return line_of(o, id);
}

char *qmp_answer(struct call *c, JsonNode *id)
{
	JsonObject *o;

	if (c->error && !c->as_text)
		return qmp_error(c->class, c->error, id);
	if (!c->as_text && !c->result)
		return empty_return(id);
	o = json_object_new();
	if (c->as_text) {
		char *all = g_strconcat(c->text->str, c->error ? c->error : "",
					c->error ? "\r\n" : "", NULL);
		char *valid = g_utf8_make_valid(all, -1);

		json_object_set_string_member(o, "return", valid);
		g_free(valid);
		g_free(all);
	} else {
		json_object_set_member(o, "return", json_node_copy(c->result));
	}
	return line_of(o, id);
}

/* --- Arguments ---------------------------------------------------------------------------- */

static bool take_key(JsonNode *n, struct value *v)
{
	JsonObject *o = JSON_NODE_HOLDS_OBJECT(n) ? json_node_get_object(n) : NULL;
	JsonNode *type = o ? json_object_get_member(o, "type") : NULL;
	JsonNode *data = o ? json_object_get_member(o, "data") : NULL;
	const char *kind, *name;
	uint8_t *key = &v->keys[v->nkeys];

	if (!type || !data || json_node_get_value_type(type) != G_TYPE_STRING ||
	    v->nkeys == CALL_KEYS)
		return false;
	kind = json_node_get_string(type);
	if (strcmp(kind, "number") == 0 && json_node_get_value_type(data) == G_TYPE_INT64) {
		if (!key_number(json_node_get_int(data), key))
			return false;
	} else if (strcmp(kind, "qcode") == 0 && json_node_get_value_type(data) == G_TYPE_STRING) {
		name = json_node_get_string(data);
		if (!key_parse(name, strlen(name), key))
			return false;
	} else {
		return false;
	}
	v->nkeys++;
	return true;
}

static const char *take_keys(JsonNode *n, struct value *v)
{
	JsonArray *a = JSON_NODE_HOLDS_ARRAY(n) ? json_node_get_array(n) : NULL;

	if (!a)
		return "array";
	for (guint i = 0; i < json_array_get_length(a); i++)
		if (!take_key(json_array_get_element(a, i), v))
			return "at most 16 keys, each a known qcode or number";
	return v->nkeys ? NULL : "at least one key";
}

/* What it should have been, or NULL. */
static const char *take_value(const struct arg *a, JsonNode *n, struct value *v)
{
	GType type = JSON_NODE_HOLDS_VALUE(n) ? json_node_get_value_type(n) : G_TYPE_INVALID;
	const char *expected = NULL;

	switch (a->kind) {
	case ARG_FLAG:
		expected = type == G_TYPE_BOOLEAN ? NULL : "boolean";
		v->number = expected ? 0 : json_node_get_boolean(n);
		break;
	case ARG_NUMBER:
		expected = type == G_TYPE_INT64 ? NULL : "integer";
		v->number = expected ? 0 : json_node_get_int(n);
		break;
	case ARG_KEYS:
		expected = take_keys(n, v);
		break;
	default:
		expected = type == G_TYPE_STRING ? NULL : "string";
		if (!expected)
			v->text = g_strdup(json_node_get_string(n));
	}
	if (!expected && !v->text)
		v->text = g_strdup("");
	if (!expected && a->choices && !arg_accepts(a, v->text))
		expected = a->choices;
	return expected;
}

static int arg_find(const struct verb *v, const char *name)
{
	for (int i = 0; i < CALL_ARGS && v->args[i].name; i++)
		if (strcmp(v->args[i].name, name) == 0 ||
		    (v->args[i].other && strcmp(v->args[i].other, name) == 0))
			return i;
	return -1;
}

static bool take_args(struct call *c, JsonObject *args)
{
	GList *names = args ? json_object_get_members(args) : NULL;

	for (GList *l = names; l && !c->error; l = l->next) {
		int i = arg_find(c->verb, l->data);
		const char *expected;

		if (i < 0) {
			call_fail(c, "Parameter '%s' is unexpected", (const char *)l->data);
			break;
		}
		if (c->args[i].text) {
			call_fail(c, "Parameter '%s' is given twice", c->verb->args[i].name);
			break;
		}
		expected = take_value(&c->verb->args[i], json_object_get_member(args, l->data),
				      &c->args[i]);
		if (expected)
			call_fail(c, "Invalid parameter type for '%s', expected: %s",
				  (const char *)l->data, expected);
	}
	g_list_free(names);
	for (unsigned i = 0; i < CALL_ARGS && c->verb->args[i].name; i++)
		if (!c->args[i].text && !c->verb->args[i].optional)
			call_fail(c, "Parameter '%s' is missing", c->verb->args[i].name);
	return !c->error;
}

/* --- Requests ----------------------------------------------------------------------------- */

/* human-monitor-command: the line is what is called; mistakes in it are part of the answer. */
static struct call *line_call(struct call *outer, JsonNode *id, char **line)
{
	char *why;
	struct call *c = call_from_line(outer->control, outer->args[0].text, &why);

	if (c) {
		c->as_text = true;
	} else {
		outer->as_text = true;
		if (why)
			call_printf(outer, "%s\r\n", why);
		*line = qmp_answer(outer, id);
	}
	g_free(why);
	call_free(outer);
	return c;
}

static struct call *command(struct qmp_session *s, const char *name, JsonObject *args,
			    JsonNode *id, char **line)
{
	const struct verb *v = verb_find_qmp(name);
	struct call *c;
	char *why;

	if (!v) {
		why = g_strdup_printf("The command %.200s has not been found", name);
		*line = qmp_error("CommandNotFound", why, id);
		g_free(why);
		return NULL;
	}
	c = call_new(s->control, v);
	if (!take_args(c, args)) {
		*line = qmp_answer(c, id);
		call_free(c);
		return NULL;
	}
	return v->line ? line_call(c, id, line) : c;
}

static char *negotiate(struct qmp_session *s, const char *name, JsonNode *id)
{
	bool asks = strcmp(name, "qmp_capabilities") == 0;

	if (asks == s->negotiated)
		return qmp_error("CommandNotFound", asks ?
				 "Capabilities negotiation is already complete, command ignored" :
				 "Expecting capabilities negotiation with 'qmp_capabilities'", id);
	s->negotiated = true;
	return empty_return(id);
}

static const char *mistake_in(JsonObject *o)
{
	static const char *const members[] = { "execute", "arguments", "id", NULL };
	GList *names = json_object_get_members(o);
	JsonNode *n = json_object_get_member(o, "execute");
	const char *why = NULL;

	if (!n)
		why = "QMP input lacks member 'execute'";
	else if (json_node_get_value_type(n) != G_TYPE_STRING)
		why = "QMP input member 'execute' must be a string";
	for (GList *l = names; l && !why; l = l->next)
		if (!g_strv_contains(members, l->data))
			why = "QMP input has a member that is none of 'execute', 'arguments' and "
			      "'id'";
	g_list_free(names);
	n = json_object_get_member(o, "arguments");
	if (!why && n && !JSON_NODE_HOLDS_OBJECT(n))
		why = "QMP input member 'arguments' must be an object";
	return why;
}

static struct call *object_request(struct qmp_session *s, JsonObject *o, JsonNode **id,
				   char **line)
{
	JsonNode *n = json_object_get_member(o, "id");
	const char *why, *name;
	JsonObject *args;

	*id = n ? json_node_copy(n) : NULL;
	why = mistake_in(o);
	if (why) {
		*line = qmp_error("GenericError", why, *id);
		return NULL;
	}
	name = json_object_get_string_member(o, "execute");
	n = json_object_get_member(o, "arguments");
	args = n ? json_node_get_object(n) : NULL;
	if (!s->negotiated || strcmp(name, "qmp_capabilities") == 0) {
		*line = negotiate(s, name, *id);
		return NULL;
	}
	return command(s, name, args, *id, line);
}

struct call *qmp_request(struct qmp_session *s, const char *text, size_t n, JsonNode **id,
			 char **line)
{
	JsonParser *parser = json_parser_new();
	GError *err = NULL;
	struct call *c = NULL;
	JsonNode *root;
	char *why;

	*id = NULL;
	*line = NULL;
	if (!json_parser_load_from_data(parser, text, (gssize)n, &err)) {
		why = g_strdup_printf("JSON parse error, %s", err->message);
		*line = qmp_error("GenericError", why, NULL);
		g_free(why);
		g_error_free(err);
	} else if (!(root = json_parser_get_root(parser)) || !JSON_NODE_HOLDS_OBJECT(root)) {
		*line = qmp_error("GenericError", "QMP input must be a JSON object", NULL);
	} else {
		c = object_request(s, json_node_get_object(root), id, line);
	}
	g_object_unref(parser);
	return c;
}
