/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a monitor would show at one moment, for those who show it: a picture, and in
 * text modes the characters. And what a user does to the machine. Adapters fill it
 * on the vCPU thread; how it reaches somebody's eyes is not known here.
 */
#ifndef DEV_SCREEN_H
#define DEV_SCREEN_H

#include "machine/machine.h"

enum screen_kind { SCREEN_BLANK, SCREEN_TEXT, SCREEN_GRAPHICS };

struct screen {
	enum screen_kind kind;
	unsigned width, height;		/* of the picture; both > 0 */
	uint32_t *pixels;		/* width * height, 0x00rrggbb; if asked for */
	/* Text: characters in the low byte, attributes in the high one. */
	unsigned columns, rows;
	uint16_t *cells;
	uint32_t palette[16];		/* 0x00rrggbb */
	bool blink;			/* bit 15 of a cell blinks; otherwise it is of its background */
	bool cursor;
	unsigned cursor_column, cursor_row;
	size_t pixels_size, cells_size;	/* allocated */
};

/* Fills s, which starts as zeros and is used again; pixels: the picture too. -ENOMEM, or
 * -ENODEV without an adapter. vCPU thread. */
int screen_look(struct machine *m, struct screen *s, bool pixels);
/* Could a look show anything new since the last one? Forgets it. vCPU thread. */
bool screen_changed(struct machine *m);
void screen_free(struct screen *s);
/* For adapters. Room for what width, height, columns and rows say. */
int screen_room(struct screen *s, bool pixels);

/* Code page 437: the Unicode character that an adapter's own font shows. */
extern const uint16_t cp437[256];
/* UTF-8 of c, at most 3 bytes and an end. */
unsigned utf8_put(char out[static 4], uint16_t c);

#endif
