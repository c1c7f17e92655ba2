/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The state stream. A section starts with this header:
 *
 *   0 "HS"   2 version (u16)   4 length of the name (u8)   5 name
 *
 * What follows is known only to the section's owner. Restoring reads a file that
 * anybody may have written: nothing here trusts a length.
 */
#include "machine/snapshot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void state_init(struct state *s)
{
	memset(s, 0, sizeof(*s));
}

void state_free(struct state *s)
{
	free(s->buf);
	memset(s, 0, sizeof(*s));
}

static bool state_reserve(struct state *s, size_t n)
{
	size_t cap = s->cap ? s->cap : 4096;
	uint8_t *buf;

	while (cap - s->len < n)
		cap *= 2;
	if (cap == s->cap)
		return true;
	buf = realloc(s->buf, cap);
	if (!buf) {
		s->bad = true;
		return false;
	}
	s->buf = buf;
	s->cap = cap;
	return true;
}

void state_put(struct state *s, const void *p, size_t n)
{
	if (s->bad || !n || !state_reserve(s, n))
		return;
	memcpy(s->buf + s->len, p, n);
	s->len += n;
}

void state_put_u64(struct state *s, uint64_t v)
{
	uint8_t b[8];

	for (unsigned i = 0; i < 8; i++)
		b[i] = (uint8_t)(v >> 8 * i);
	state_put(s, b, 8);
}

void state_begin(struct state *s, const char *section, uint16_t version)
{
	size_t n = strlen(section);
	uint8_t head[5] = { 'H', 'S', (uint8_t)version, (uint8_t)(version >> 8), (uint8_t)n };

	bug_on(n > 255);
	state_put(s, head, sizeof(head));
	state_put(s, section, n);
}

void state_get(struct state *s, void *p, size_t n)
{
	if (s->bad || n > s->len - s->pos) {
		s->bad = true;
		memset(p, 0, n);
		return;
	}
	memcpy(p, s->buf + s->pos, n);
	s->pos += n;
}

uint64_t state_get_u64(struct state *s)
{
	uint64_t v = 0;
	uint8_t b[8];

	state_get(s, b, 8);
	for (unsigned i = 0; i < 8; i++)
		v |= (uint64_t)b[i] << 8 * i;
	return v;
}

int state_enter(struct state *s, const char *section)
{
	uint8_t head[5];
	char name[256];

	state_get(s, head, sizeof(head));
	state_get(s, name, head[4]);
	name[head[4]] = '\0';
	if (s->bad || head[0] != 'H' || head[1] != 'S' || strlen(name) != head[4] ||
	    strcmp(name, section) != 0) {
		s->bad = true;
		return -EINVAL;
	}
	return head[2] | head[3] << 8;
}
