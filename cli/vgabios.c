/* SPDX-License-Identifier: BSD-2-Clause */
/* The display adapter's option ROM, from a file. */
#include <errno.h>
#include <glib.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/firmware.h"

#define ROM_MIN		512u
#define ROM_MAX		(64u << 10)	/* what fits between 0xc0000 and the next card */

static const char *const packaged[] = {
	"/usr/share/seabios/vgabios-stdvga.bin", "/usr/share/qemu/vgabios-stdvga.bin",
	"/usr/share/seavgabios/vgabios-stdvga.bin",
};

static const char *vgabios_find(void)
{
	for (unsigned i = 0; i < ARRAY_LEN(packaged); i++)
		if (access(packaged[i], R_OK) == 0)
			return packaged[i];
	return NULL;
}

int vgabios_load(struct machine *m, const struct config *cfg, uint8_t **image,
		 char why[static WHY_SIZE])
{
	const char *path = cfg->vgabios ? cfg->vgabios : vgabios_find();
	GError *err = NULL;
	gsize size;

	*image = NULL;
	if (!path || cfg->vga == VGA_NONE)
		return 0;
	if (!g_file_get_contents(path, (char **)image, &size, &err)) {
		load_fail(why, -EIO, "VGA BIOS: %s", err->message);
		g_error_free(err);
		return -EIO;
	}
	if (size < ROM_MIN || size > ROM_MAX || (*image)[0] != 0x55 || (*image)[1] != 0xaa)
		return load_fail(why, -EINVAL, "VGA BIOS %s: not an option ROM, which begins with 55 AA "
				 "and has at most 64 KiB", path);
	if (vgabios_wrap(image, &size, ROM_MAX))
		return load_fail(why, -ENOMEM, "VGA BIOS %s: no memory", path);
	m->vga_rom = *image;
	m->vga_rom_size = size;
	return 0;
}
