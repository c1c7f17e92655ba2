/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/screenshot.h"

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

static const struct { enum picture picture; const char *name; } pictures[] = {
	{ PICTURE_PNG, "png" }, { PICTURE_PPM, "ppm" }, { PICTURE_TEXT, "txt" },
};

int picture_named(const char *format)
{
	for (size_t i = 0; i < ARRAY_LEN(pictures); i++)
		if (strcmp(pictures[i].name, format) == 0)
			return (int)pictures[i].picture;
	return -1;
}

enum picture picture_by_name(const char *file, enum picture otherwise)
{
	const char *end = strrchr(file, '.');
	int p = end ? picture_named(end + 1) : -1;

	return p < 0 ? otherwise : (enum picture)p;
}

bool picture_built(enum picture p)
{
#ifdef HAVE_PNG
	(void)p;
	return true;
#else
	return p != PICTURE_PNG;
#endif
}

int picture_write(const struct screen *s, enum picture p, const char *file, bool wait)
{
	int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | (wait ? 0 : O_NONBLOCK), 0666);
	FILE *out = fd < 0 ? NULL : fdopen(fd, "wb");
	int err = out ? 0 : -errno;

	if (fd >= 0 && !out)
		close(fd);
	if (!err && p == PICTURE_TEXT)
		write_text(s, out);
	else if (!err)
		err = p == PICTURE_PPM ? write_ppm(s, out) : write_png(s, out);
	if (out && ferror(out) && !err)
		err = -EIO;
	if (out && fclose(out) && !err)
		err = -errno;
	return err;
}

int screenshot_write(struct machine *m, const char *file)
{
	enum picture p = picture_by_name(file, PICTURE_PNG);
	struct screen s = { 0 };
	int err = screen_look(m, &s, p != PICTURE_TEXT);

	if (!err)
		err = picture_write(&s, p, file, true);
	screen_free(&s);
	return err;
}
