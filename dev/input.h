/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a user does: keys and a mouse. Whoever shows the screen or sends keys puts events
 * into a ring, the keyboard controller takes them on the vCPU thread.
 *
 * A key is its make code in set 1 as IBM's enhanced keyboard has it, PC_EXTENDED
 * added for those with the prefix E0.
 */
#ifndef DEV_INPUT_H
#define DEV_INPUT_H

#include "machine/machine.h"

#define PC_EXTENDED	0x80
enum {
	PC_ESC = 0x01, PC_BACKSPACE = 0x0e, PC_TAB = 0x0f, PC_ENTER = 0x1c, PC_CTRL = 0x1d,
	PC_SHIFT = 0x2a, PC_SHIFT_RIGHT = 0x36, PC_ALT = 0x38, PC_SPACE = 0x39, PC_CAPS = 0x3a, PC_F1 = 0x3b,
	PC_NUM = 0x45, PC_SCROLL = 0x46, PC_F11 = 0x57, PC_F12 = 0x58,
	PC_HOME = PC_EXTENDED | 0x47, PC_UP = PC_EXTENDED | 0x48, PC_PAGE_UP = PC_EXTENDED | 0x49,
	PC_LEFT = PC_EXTENDED | 0x4b, PC_RIGHT = PC_EXTENDED | 0x4d, PC_END = PC_EXTENDED | 0x4f,
	PC_DOWN = PC_EXTENDED | 0x50, PC_PAGE_DOWN = PC_EXTENDED | 0x51,
	PC_INSERT = PC_EXTENDED | 0x52, PC_DELETE = PC_EXTENDED | 0x53,
	PC_CTRL_RIGHT = PC_EXTENDED | 0x1d, PC_ALT_GR = PC_EXTENDED | 0x38,
	PC_PRINT = PC_EXTENDED | 0x37, PC_PAUSE = PC_EXTENDED | 0x45,	/* sequences of their own */
	PC_META = PC_EXTENDED | 0x5b, PC_META_RIGHT = PC_EXTENDED | 0x5c, PC_MENU = PC_EXTENDED | 0x5d,
	PC_PAD_ENTER = PC_EXTENDED | 0x1c, PC_PAD_SLASH = PC_EXTENDED | 0x35,
};

enum input_kind { INPUT_KEY, INPUT_MOUSE };
enum { MOUSE_LEFT = 1, MOUSE_RIGHT = 2, MOUSE_MIDDLE = 4 };

struct input_event {
	uint8_t kind;
	uint8_t code;			/* a key, or the buttons that are down */
	bool down;
	int16_t dx, dy, dz;		/* right, down, wheel towards the user */
};

struct input;
/* For machine->input. ready(): see input_deliver(). 0 or -ENOMEM. */
int input_create(struct machine *m, void (*ready)(void *arg), void *arg);
void input_destroy(struct machine *m);
/* Any thread. False if there is no room, for the moment. */
bool input_put(struct machine *m, const struct input_event *e);
bool input_key(struct machine *m, unsigned key, bool down);
/* vCPU thread. */
const struct input_event *input_peek(struct machine *m);	/* NULL if there is none */
void input_next(struct machine *m);
void input_deliver(struct machine *m);		/* ATT_INPUT: calls ready() */

/* What was put and not yet taken, into a snapshot and back, as with chardev_save_input(). */
struct state;
void input_save(struct machine *m, struct state *s);
void input_restore(struct machine *m, struct state *s);

/* The key and the shift state of a US keyboard that makes an ASCII character, 0 if
 * none does; control characters are those of Ctrl. */
enum { TYPE_SHIFT = 0x100, TYPE_CTRL = 0x200 };
unsigned input_typing(unsigned char c);

#endif
