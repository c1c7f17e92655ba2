/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * --display=vnc: the screen for VNC viewers, by LibVNCServer; their keys and pointers are
 * the guest's keyboard and mouse. Key symbols become the keys of a US keyboard.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rfb/keysym.h>
#include <rfb/rfb.h>

#include "cli/display.h"
#include "dev/input.h"

#define BAND		16		/* lines that are compared together */
#define PASSWORD_MAX	8		/* what the protocol heeds */

struct vnc {
	struct display *d;
	rfbScreenInfoPtr rfb;
	uint32_t *frame;
	unsigned width, height;
	char password[PASSWORD_MAX + 1];
	char *passwords[2];
	int x, y;			/* where the pointer was */
	uint8_t buttons;
};

/* --- The picture ---------------------------------------------------------------------- */

/* A frame of another size; the old one lives until the library has let go of it. */
static bool resize(struct vnc *v, unsigned width, unsigned height)
{
	uint32_t *frame = calloc((size_t)width * height, sizeof(*frame)), *old = v->frame;

	if (!frame)
		return false;
	v->frame = frame;
	v->width = width;
	v->height = height;
	rfbNewFramebuffer(v->rfb, (char *)frame, (int)width, (int)height, 8, 3, 4);
	free(old);
	return true;
}

static void show(struct vnc *v, const struct screen *s)
{
	size_t line = sizeof(*s->pixels) * s->width;

	if ((s->width != v->width || s->height != v->height) && !resize(v, s->width, s->height))
		return;
	for (unsigned y = 0; y < s->height; y += BAND) {
		unsigned n = s->height - y < BAND ? s->height - y : BAND;
		uint32_t *to = v->frame + (size_t)y * s->width;
		const uint32_t *from = s->pixels + (size_t)y * s->width;

		if (memcmp(to, from, line * n) == 0)
			continue;
		memcpy(to, from, line * n);
		rfbMarkRectAsModified(v->rfb, 0, (int)y, (int)s->width, (int)(y + n));
	}
}

static void vnc_step(void *kind, const struct screen *s, bool fresh)
{
	struct vnc *v = kind;

	if (fresh)
		show(v, s);
	rfbProcessEvents(v->rfb, DISPLAY_TICK_MS * 1000);
}

/* --- Keys and pointer --------------------------------------------------------------------- */

static const struct { rfbKeySym sym; uint8_t key; } keys[] = {
	{ XK_BackSpace, PC_BACKSPACE }, { XK_Tab, PC_TAB }, { XK_ISO_Left_Tab, PC_TAB },
	{ XK_Return, PC_ENTER }, { XK_Escape, PC_ESC }, { XK_Delete, PC_DELETE }, { XK_Home, PC_HOME },
	{ XK_Left, PC_LEFT }, { XK_Up, PC_UP }, { XK_Right, PC_RIGHT }, { XK_Down, PC_DOWN },
	{ XK_Page_Up, PC_PAGE_UP }, { XK_Page_Down, PC_PAGE_DOWN }, { XK_End, PC_END },
	{ XK_Insert, PC_INSERT }, { XK_Print, PC_PRINT }, { XK_Pause, PC_PAUSE }, { XK_Break, PC_PAUSE },
	{ XK_Scroll_Lock, PC_SCROLL }, { XK_Num_Lock, PC_NUM }, { XK_Caps_Lock, PC_CAPS },
	{ XK_Shift_L, PC_SHIFT }, { XK_Shift_R, PC_SHIFT_RIGHT }, { XK_Control_L, PC_CTRL },
	{ XK_Control_R, PC_CTRL_RIGHT }, { XK_Alt_L, PC_ALT }, { XK_Alt_R, PC_ALT_GR },
	{ XK_Meta_L, PC_ALT }, { XK_Meta_R, PC_ALT_GR }, { XK_Super_L, PC_META },
	{ XK_Super_R, PC_META_RIGHT }, { XK_Menu, PC_MENU }, { XK_F11, PC_F11 }, { XK_F12, PC_F12 },
	{ XK_KP_Enter, PC_PAD_ENTER }, { XK_KP_Divide, PC_PAD_SLASH }, { XK_KP_Multiply, 0x37 },
	{ XK_KP_Subtract, 0x4a }, { XK_KP_Add, 0x4e }, { XK_KP_Decimal, 0x53 }, { XK_KP_Delete, 0x53 },
	{ XK_KP_0, 0x52 }, { XK_KP_1, 0x4f }, { XK_KP_2, 0x50 }, { XK_KP_3, 0x51 }, { XK_KP_4, 0x4b },
	{ XK_KP_5, 0x4c }, { XK_KP_6, 0x4d }, { XK_KP_7, 0x47 }, { XK_KP_8, 0x48 }, { XK_KP_9, 0x49 },
	{ XK_KP_Insert, 0x52 }, { XK_KP_End, 0x4f }, { XK_KP_Down, 0x50 }, { XK_KP_Page_Down, 0x51 },
	{ XK_KP_Left, 0x4b }, { XK_KP_Begin, 0x4c }, { XK_KP_Right, 0x4d }, { XK_KP_Home, 0x47 },
	{ XK_KP_Up, 0x48 }, { XK_KP_Page_Up, 0x49 },
};

/* Viewers send the shift keys too, so only which key it is counts. */
static unsigned key_of(rfbKeySym sym)
{
	if (sym >= ' ' && sym < 0x7f)
		return input_typing((unsigned char)sym) & 0xff;
	if (sym >= XK_F1 && sym <= XK_F10)
		return PC_F1 + (unsigned)(sym - XK_F1);
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (keys[i].sym == sym)
			return keys[i].key;
	return 0;
}

static void take_key(rfbBool down, rfbKeySym sym, rfbClientPtr client)
{
	struct vnc *v = client->screen->screenData;
	unsigned key = key_of(sym);

	if (key)
		display_key(v->d, key, down);
}

/* RFB: 1 left, 2 middle, 4 right; 8 and 16 are the wheel, up and down. */
static void take_pointer(int mask, int x, int y, rfbClientPtr client)
{
	struct vnc *v = client->screen->screenData;
	struct input_event e = { .kind = INPUT_MOUSE, .dx = (int16_t)(x - v->x), .dy = (int16_t)(y - v->y) };

	e.code = (uint8_t)((mask & 1 ? MOUSE_LEFT : 0) | (mask & 2 ? MOUSE_MIDDLE : 0) |
			   (mask & 4 ? MOUSE_RIGHT : 0));
	e.dz = (int16_t)((mask & 16 && !(v->buttons & 16)) - (mask & 8 && !(v->buttons & 8)));
	v->x = x;
	v->y = y;
	v->buttons = (uint8_t)mask;
	input_put(display_machine(v->d), &e);
	rfbDefaultPtrAddEvent(mask, x, y, client);
}

/* --- Life ------------------------------------------------------------------------------------ */

static int read_password(struct vnc *v, const char *file, char why[static WHY_SIZE])
{
	FILE *in = fopen(file, "r");
	char line[128] = "";

	if (!in || (!fgets(line, sizeof(line), in) && ferror(in))) {
		load_fail(why, -errno, "VNC password %s: %s", file, strerror(errno));
		if (in)
			fclose(in);
		return -EIO;
	}
	fclose(in);
	line[strcspn(line, "\r\n")] = '\0';
	if (!*line || strlen(line) > PASSWORD_MAX)
		return load_fail(why, -EINVAL, "VNC password %s: its first line must have 1 to %d "
				 "characters: more are not heeded by the protocol", file, PASSWORD_MAX);
	strcpy(v->password, line);
	v->passwords[0] = v->password;
	v->rfb->authPasswdData = v->passwords;
	v->rfb->passwordCheck = rfbCheckPasswordByList;
	return 0;
}

static void vnc_close(void *kind)
{
	struct vnc *v = kind;

	if (v->rfb) {
		rfbShutdownServer(v->rfb, TRUE);
		rfbScreenCleanup(v->rfb);
	}
	free(v->frame);
	free(v);
}

static int server_open(struct vnc *v, const struct config *cfg, char why[static WHY_SIZE])
{
	rfbLogEnable(FALSE);
	v->rfb = rfbGetScreen(NULL, NULL, (int)v->width, (int)v->height, 8, 3, 4);
	if (!v->rfb)
		return load_fail(why, -ENOMEM, "VNC: %s", strerror(ENOMEM));
	v->rfb->frameBuffer = (char *)v->frame;
	v->rfb->serverFormat.redShift = 16;
	v->rfb->serverFormat.greenShift = 8;
	v->rfb->serverFormat.blueShift = 0;
	v->rfb->desktopName = "hemi";
	v->rfb->screenData = v;
	v->rfb->alwaysShared = TRUE;
	v->rfb->cursor = NULL;
	v->rfb->kbdAddEvent = take_key;
	v->rfb->ptrAddEvent = take_pointer;
	v->rfb->port = cfg->vnc_port;
	v->rfb->ipv6port = 0;
	if (!rfbStringToAddr((char *)cfg->vnc_address, &v->rfb->listenInterface))
		return load_fail(why, -EINVAL, "--display=vnc: '%s' is no address of this host",
				 cfg->vnc_address);
	if (cfg->vnc_password && read_password(v, cfg->vnc_password, why))
		return -EINVAL;
	errno = 0;
	rfbInitServer(v->rfb);
	if (v->rfb->listenSock < 0)
		return load_fail(why, -EADDRINUSE, "--display=vnc: cannot listen at %s:%u: %s; say another "
				 "with vnc=ADDRESS:PORT", cfg->vnc_address, cfg->vnc_port,
				 errno ? strerror(errno) : "no socket");
	if (!cfg->vnc_password && ntohl(v->rfb->listenInterface) >> 24 != 127)
		fprintf(stderr, "hemi: VNC at %s:%u lets anybody in; say --vnc-password=FILE\n",
			cfg->vnc_address, cfg->vnc_port);
	return 0;
}

static int vnc_open(struct display *d, void **kind, char why[static WHY_SIZE])
{
	struct vnc *v = calloc(1, sizeof(*v));
	int err;

	if (!v)
		return load_fail(why, -ENOMEM, "VNC: %s", strerror(ENOMEM));
	v->d = d;
	v->width = 720;
	v->height = 400;
	v->frame = calloc((size_t)v->width * v->height, sizeof(*v->frame));
	err = v->frame ? server_open(v, display_machine(d)->config, why) :
		load_fail(why, -ENOMEM, "VNC: %s", strerror(ENOMEM));
	if (err) {
		vnc_close(v);
		return err;
	}
	*kind = v;
	return 0;
}

const struct display_kind_ops display_vnc = {
	.name = "vnc", .pixels = true, .open = vnc_open, .step = vnc_step, .close = vnc_close,
};
