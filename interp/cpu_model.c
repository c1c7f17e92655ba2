/* SPDX-License-Identifier: BSD-2-Clause */
/* CPU models by name, and features added to or taken from them. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "interp/cpu_model.h"

#define HAS	true
#define LACKS	false
static const struct { const char *name; bool have; } features[F_COUNT] = {
#define FEATURE(id, name, leaf, reg, bit, have)	[F_##id] = { name, have },
#include "interp/features.def"
#undef FEATURE
};

static const struct { uint8_t feature, on; } needs[] = {
#define NEEDS(a, b)	{ F_##a, F_##b },
#include "interp/feature_needs.def"
#undef NEEDS
};

static struct row { struct cpu_model m; const uint8_t *features; unsigned n; } rows[] = {
#define MODEL(name_, vendor_, brand_, family_, model_, stepping_, ...)				\
	{ { .name = name_, .vendor = vendor_, .brand = brand_, .family = family_,		\
	    .model = model_, .stepping = stepping_ },						\
	  (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }) },
#include "interp/cpu_models.def"
#undef MODEL
};

static void feature_set(struct cpu_model *m, unsigned f, bool on)
{
	uint64_t bit = 1ull << (f % 64);

	if (cpu_model_has(m, f) == on)
		return;
	m->has[f / 64] = on ? m->has[f / 64] | bit : m->has[f / 64] & ~bit;
	for (size_t i = 0; i < ARRAY_LEN(needs); i++) {
		if (on && needs[i].feature == f)
			feature_set(m, needs[i].on, true);
		if (!on && needs[i].on == f)
			feature_set(m, needs[i].feature, false);
	}
}

static const struct cpu_model *row_model(struct row *r)
{
	for (unsigned i = 0; i < r->n; i++)
		r->m.has[r->features[i] / 64] |= 1ull << (r->features[i] % 64);
	return &r->m;
}

const struct cpu_model *cpu_model_at(unsigned i)
{
	return i < ARRAY_LEN(rows) ? row_model(&rows[i]) : NULL;
}

const char *cpu_feature_name(unsigned f)
{
	return features[f].have ? features[f].name : NULL;
}

/* sse4.1, sse4_1 and SSE41 are the same name. */
static bool same_name(const char *a, const char *b, size_t n)
{
	for (;; a++) {
		while (n && strchr("._-", *b))
			b++, n--;
		while (*a && strchr("._-", *a))
			a++;
		if (!*a || !n)
			return !*a && !n;
		if (tolower((unsigned char)*a) != tolower((unsigned char)*b))
			return false;
		b++, n--;
	}
}

static struct row *row_find(const char *name, size_t n)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (same_name(rows[i].m.name, name, n))
			return &rows[i];
	return NULL;
}

const struct cpu_model *cpu_model_find(const char *name)
{
	struct row *r = name ? row_find(name, strlen(name)) : &rows[0];

	return r ? row_model(r) : NULL;
}

static bool complain(char *why, size_t size, const char *what, const char *word, size_t n)
{
	snprintf(why, size, "%s '%.*s'; --cpu=help lists what there is", what, (int)(n < 40 ? n : 40), word);
	return false;
}

/* +NAME, -NAME, NAME=on, NAME=off, or NAME alone. */
static bool change(struct cpu_model *m, const char *word, size_t n, char *why, size_t size)
{
	const char *name = word, *equals = memchr(word, '=', n);
	size_t len = equals ? (size_t)(equals - word) : n;
	bool on = true;

	if (n && (*word == '+' || *word == '-')) {
		on = *word == '+';
		name++;
		len--;
		if (equals)
			return complain(why, size, "cannot read", word, n);
	} else if (equals) {
		const char *v = equals + 1;
		size_t left = n - len - 1;

		on = left == 2 && !strncasecmp(v, "on", 2);
		if (!on && !(left == 3 && !strncasecmp(v, "off", 3)))
			return complain(why, size, "neither on nor off:", word, n);
	}
	for (unsigned f = F_NONE + 1; f < F_NEVER; f++) {
		if (!len || !same_name(features[f].name, name, len))
			continue;
		if (on && !features[f].have)
			return complain(why, size, "hemi does not have", name, len);
		feature_set(m, f, on);
		return true;
	}
	return complain(why, size, "no such feature:", name, len);
}

bool cpu_model_parse(struct cpu_model *m, const char *spec, char *why, size_t size)
{
	struct row *r = &rows[0];
	size_t n;

	if (spec) {
		n = strcspn(spec, ",");
		r = row_find(spec, n);
		if (!r)
			return complain(why, size, "no such model:", spec, n);
		spec += n;
	}
	*m = *row_model(r);
	while (spec && *spec == ',') {
		spec++;
		n = strcspn(spec, ",");
		if (!change(m, spec, n, why, size))
			return false;
		spec += n;
	}
	return true;
}
