/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/screenshot.h"
#include "dev/screen.h"

#ifdef HAVE_PNG
#include <png.h>
#endif

/* UTF-8, a line for each row, without the blanks at the end of rows and without empty
 * rows at the end of the screen. */
static void write_text(const struct screen *s, FILE *out)
{
	unsigned blank_rows = 0;

	if (s->kind != SCREEN_TEXT) {
		fprintf(out, "(%s, %u x %u)\n", s->kind == SCREEN_BLANK ? "blank" : "graphics", s->width,
			s->height);
		return;
	}
	for (unsigned row = 0; row < s->rows; row++) {
		const uint16_t *cells = s->cells + (size_t)row * s->columns;
		unsigned used = s->columns;
		char utf8[4];

		while (used && cp437[cells[used - 1] & 0xff] == ' ')
			used--;
		if (!used) {
			blank_rows++;
			continue;
		}
		for (; blank_rows; blank_rows--)
			fputc('\n', out);
		for (unsigned i = 0; i < used; i++) {
			utf8_put(utf8, cp437[cells[i] & 0xff]);
			fputs(utf8, out);
		}
		fputc('\n', out);
	}
}

static void rgb_row(const struct screen *s, unsigned y, uint8_t *to)
{
	const uint32_t *p = s->pixels + (size_t)y * s->width;

	for (unsigned x = 0; x < s->width; x++) {
		to[3 * x] = (uint8_t)(p[x] >> 16);
		to[3 * x + 1] = (uint8_t)(p[x] >> 8);
		to[3 * x + 2] = (uint8_t)p[x];
	}
}

static int write_ppm(const struct screen *s, FILE *out)
{
	uint8_t *row = malloc(3 * (size_t)s->width);

	if (!row)
		return -ENOMEM;
	fprintf(out, "P6\n%u %u\n255\n", s->width, s->height);
	for (unsigned y = 0; y < s->height; y++) {
		rgb_row(s, y, row);
		fwrite(row, 3, s->width, out);
	}
	free(row);
	return 0;
}

static int write_png(const struct screen *s, FILE *out)
{
#ifdef HAVE_PNG
	png_image image = { .version = PNG_IMAGE_VERSION, .width = s->width, .height = s->height,
			    .format = PNG_FORMAT_RGB };
	uint8_t *rows = malloc(3 * (size_t)s->width * s->height);
	int ok;

	if (!rows)
		return -ENOMEM;
	for (unsigned y = 0; y < s->height; y++)
		rgb_row(s, y, rows + 3 * (size_t)y * s->width);
	ok = png_image_write_to_stdio(&image, out, 0, rows, 0, NULL);
	free(rows);
	return ok ? 0 : -EIO;
#else
	(void)s;
	(void)out;
	return -ENOTSUP;
#endif
}

int screenshot_write(struct machine *m, const char *file)
{
	const char *end = strrchr(file, '.');
	bool text = end && strcmp(end, ".txt") == 0, ppm = end && strcmp(end, ".ppm") == 0;
	struct screen s = { 0 };
	int err = screen_look(m, &s, !text);
	FILE *out = err ? NULL : fopen(file, "wb");

	if (!err && !out)
		err = -errno;
	if (!err && text)
		write_text(&s, out);
	else if (!err)
		err = ppm ? write_ppm(&s, out) : write_png(&s, out);
	if (out && ferror(out) && !err)
		err = -EIO;
	if (out && fclose(out) && !err)
		err = -errno;
	screen_free(&s);
	return err;
}
