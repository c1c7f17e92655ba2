/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The CPU models and what --cpu makes of one: a row of cpu_models.def, features
 * added and taken away, and the rules between them (features.def). It must never
 * ask the host: the guest sees the same processor everywhere.
 */
#include <stdio.h>
#include <string.h>

#include "interp/cpu_model.h"

#define DEFAULT_MODEL	0
#define NEEDS_MAX	5
#define LONGEST_NAME	32

enum kind { NO, YES, EXTRA };

static const struct feature_row {
	const char *name, *what;
	uint8_t kind;
	uint8_t needs[NEEDS_MAX];
} features[F_COUNT] = {
#define FEATURE(symbol, kind_, name_, leaf, reg, bit, what_, ...) [F_##symbol] = \
	{ .name = name_, .what = what_, .kind = kind_, .needs = { __VA_ARGS__ } },
#include "interp/features.def"
#undef FEATURE
};

static const struct model_row {
	const char *what;
	struct cpu_model identity;
	unsigned nfeatures;
	const uint8_t *features;
} models[] = {
#define MODEL(name_, what_, vendor_, brand_, family_, model_, stepping_, ...) \
	{ .what = what_, \
	  .identity = { .name = name_, .vendor = vendor_, .brand = brand_, .family = family_, \
			.model = model_, .stepping = stepping_ }, \
	  .nfeatures = sizeof((const uint8_t[]){ __VA_ARGS__ }), \
	  .features = (const uint8_t[]){ __VA_ARGS__ } },
#include "interp/cpu_models.def"
#undef MODEL
};

/* Other names of the same: QEMU's, and those of /proc/cpuinfo. */
static const struct { const char *alias, *name; } model_alias[] = {
	{ "core2duo", "core2" },
}, feature_alias[] = {
	{ "cmpxchg8b", "cx8" }, { "cmpxchg16b", "cx16" }, { "pclmul", "pclmulqdq" },
	{ "pni", "sse3" }, { "clfsh", "clflush" },
	{ "clfl", "clflush" }, { "lahf", "lahf_lm" },
	{ "constant_tsc", "invtsc" }, { "lzcnt", "abm" }, { "prefetchw", "3dnowprefetch" },
};

/* --- Names -------------------------------------------------------------------- */

const char *cpu_model_name(unsigned i, const char **what)
{
	if (i >= ARRAY_LEN(models))
		return NULL;
	if (what)
		*what = models[i].what;
	return models[i].identity.name;
}

const char *cpu_feature_name(unsigned i, const char **what)
{
	for (unsigned f = 0; f < F_COUNT; f++) {
		if (!features[f].name || features[f].kind == NO || i--)
			continue;
		*what = features[f].what;
		return features[f].name;
	}
	return NULL;
}

static unsigned fold(char c)
{
	return c >= 'A' && c <= 'Z' ? (unsigned)c + 32u : (unsigned char)c;
}

/* sse4.1, sse4_1 and SSE41 are the same name. */
static bool same_name(const char *a, const char *b)
{
	for (;; a++, b++) {
		while (*a && strchr("._-", *a))
			a++;
		while (*b && strchr("._-", *b))
			b++;
		if (fold(*a) != fold(*b))
			return false;
		if (!*a)
			return true;
	}
}

static const struct model_row *model_row(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(model_alias); i++)
		if (same_name(name, model_alias[i].alias))
			name = model_alias[i].name;
	for (size_t i = 0; i < ARRAY_LEN(models); i++)
		if (same_name(name, models[i].identity.name))
			return &models[i];
	return NULL;
}

/* F_NONE: there is no such feature. */
static unsigned feature_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(feature_alias); i++)
		if (same_name(name, feature_alias[i].alias))
			name = feature_alias[i].name;
	for (unsigned f = 0; f < F_COUNT; f++)
		if (features[f].name && same_name(name, features[f].name))
			return f;
	return F_NONE;
}

/* Letters to insert, drop or change (Levenshtein's distance); case does not count. */
static unsigned distance(const char *a, const char *b)
{
	unsigned row[LONGEST_NAME + 1], n = (unsigned)strlen(b);

	if (n > LONGEST_NAME)
		return ~0u;
	for (unsigned j = 0; j <= n; j++)
		row[j] = j;
	for (unsigned i = 0; a[i]; i++) {
		unsigned corner = row[0];

		row[0] = i + 1;
		for (unsigned j = 1; j <= n; j++) {
			unsigned change = corner + (fold(a[i]) != fold(b[j - 1]));
			unsigned best = row[j] < row[j - 1] ? row[j] + 1 : row[j - 1] + 1;

			corner = row[j];
			row[j] = change < best ? change : best;
		}
	}
	return row[n];
}

/* The name that was probably meant, NULL: none is near. */
static const char *nearest(const char *given, bool of_models)
{
	unsigned best = strlen(given) > 5 ? 3 : 2;
	const char *found = NULL, *name, *what;

	for (unsigned i = 0; (name = of_models ? cpu_model_name(i, &what)
						: cpu_feature_name(i, &what)); i++) {
		unsigned d = distance(given, name);

		if (d < best) {
			best = d;
			found = name;
		}
	}
	return found;
}

/* --- Sets of features ----------------------------------------------------------- */

typedef uint64_t feature_set[(F_COUNT + 63) / 64];

static bool set_has(const feature_set s, unsigned f) { return s[f / 64] >> (f % 64) & 1; }
static void set_add(feature_set s, unsigned f) { s[f / 64] |= 1ull << (f % 64); }
static void set_drop(feature_set s, unsigned f) { s[f / 64] &= ~(1ull << (f % 64)); }

/* A feature of the set that lacks something, and what. F_NONE: there is none. */
static unsigned lacking(const feature_set s, unsigned *what)
{
	for (unsigned f = F_NONE + 1; f < F_COUNT; f++)
		for (unsigned i = 0; i < NEEDS_MAX && set_has(s, f); i++) {
			*what = features[f].needs[i];
			if (*what && !set_has(s, *what))
				return f;
		}
	return F_NONE;
}

static void model_fill(const struct model_row *r, struct cpu_model *out)
{
	*out = r->identity;
	for (unsigned i = 0; i < r->nfeatures; i++) {
		if (r->features[i] != F_EVERY) {
			set_add(out->has, r->features[i]);
			continue;
		}
		for (unsigned f = 0; f < F_COUNT; f++)
			if (features[f].kind == YES)
				set_add(out->has, f);
	}
}

/* --- The option -------------------------------------------------------------------- */

static bool refuse(char *why, size_t size, const char *kind, const char *given, bool of_models)
{
	const char *near = nearest(given, of_models);

	if (near)
		snprintf(why, size, "unknown %s '%s'; did you mean %s? --cpu=help lists all",
			 kind, given, near);
	else
		snprintf(why, size, "unknown %s '%s'; --cpu=help lists all", kind, given);
	return false;
}

/* One word after a comma: +NAME, -NAME, NAME=on, NAME=off, or NAME alone. */
static bool take_feature(char *word, feature_set on, feature_set off, char *why, size_t size)
{
	char *value = strchr(word, '='), sign = *word;
	const char *name = word;
	unsigned f;
	bool add;

	if ((sign == '+' || sign == '-') && !value) {
		name++;
		add = sign == '+';
	} else if (value && (!strcmp(value, "=on") || !strcmp(value, "=off"))) {
		add = !strcmp(value, "=on");
		*value = '\0';
	} else if (*word && !value) {
		add = true;
	} else {
		snprintf(why, size, "'%s': say +FEATURE, -FEATURE, FEATURE=on or FEATURE=off", word);
		return false;
	}
	f = feature_find(name);
	if (!f)
		return refuse(why, size, "feature", name, false);
	if (add && features[f].kind == NO) {
		snprintf(why, size, "hemi does not implement %s (%s)", features[f].name,
			 features[f].what);
		return false;
	}
	/* As with QEMU the last word counts. */
	set_add(add ? on : off, f);
	set_drop(add ? off : on, f);
	return true;
}

/* What was asked for, and what it needs; then whatever lacks something goes. */
static bool settle(struct cpu_model *m, const feature_set on, const feature_set off, char *why,
		   size_t size)
{
	feature_set want;
	unsigned f, need;

	memcpy(want, on, sizeof(want));
	while ((f = lacking(want, &need))) {
		if (set_has(off, need)) {
			snprintf(why, size, "%s needs %s, which is taken away", features[f].name,
				 features[need].name);
			return false;
		}
		set_add(want, need);
	}
	for (size_t i = 0; i < ARRAY_LEN(m->has); i++)
		m->has[i] = (m->has[i] | want[i]) & ~off[i];
	while ((f = lacking(m->has, &need)))
		set_drop(m->has, f);
	return true;
}

bool cpu_model_parse(struct cpu_model *m, const char *spec, char *why, size_t size)
{
	feature_set on = { 0 }, off = { 0 };
	const struct model_row *row;
	char copy[512], *rest = copy, *word;

	if (!spec) {
		model_fill(&models[DEFAULT_MODEL], m);
		return true;
	}
	if (strlen(spec) >= sizeof(copy)) {
		snprintf(why, size, "too long");
		return false;
	}
	strcpy(copy, spec);
	word = strsep(&rest, ",");
	row = model_row(word);
	if (!row)
		return refuse(why, size, "model", word, true);
	model_fill(row, m);
	while ((word = strsep(&rest, ",")))
		if (!take_feature(word, on, off, why, size))
			return false;
	return settle(m, on, off, why, size);
}

const struct cpu_model *cpu_model_find(const char *spec)
{
	static struct cpu_model found[2];	/* the default one is asked for most often */
	struct cpu_model *m = &found[spec != NULL];

	return cpu_model_parse(m, spec, NULL, 0) ? m : NULL;
}
