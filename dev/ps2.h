/* SPDX-License-Identifier: BSD-2-Clause */
/* The two devices on the keyboard controller's cables: bytes go to them and come from them. */
#ifndef DEV_PS2_H
#define DEV_PS2_H

#include "machine/types.h"

#define PS2_QUEUE	32		/* a power of two */

struct ps2_queue { uint8_t bytes[PS2_QUEUE], head, count; };

struct ps2_keyboard {
	struct ps2_queue out;
	uint8_t last;			/* what it sent last */
	uint8_t expects;		/* the command whose data comes next, or 0 */
	uint8_t scan_set;		/* 1 or 2 */
	uint8_t off;			/* keys are not reported */
};

struct ps2_mouse {
	struct ps2_queue out;
	uint8_t last, expects;
	uint8_t on, remote, wrap, scaling, resolution, rate;
	uint8_t wheel;			/* IntelliMouse: packets of four bytes */
	uint8_t knock;			/* how much of 200, 100, 80 was set as rates */
	uint8_t buttons, reported;
	int16_t dx, dy, dz;		/* not yet reported */
};

/* The byte that was sent first, also into *last (for RESEND); false: there is none. */
bool ps2_take(struct ps2_queue *q, uint8_t *last, uint8_t *byte);
/* Dropped if the queue is full. */
void ps2_send(struct ps2_queue *q, uint8_t byte);

/* As after power-on, its queue empty. A byte from the host: a command, or what a command waits for. */
void ps2_keyboard_reset(struct ps2_keyboard *k);
void ps2_keyboard_write(struct ps2_keyboard *k, uint8_t val);
/* A key (dev/input.h). False if there is no room for its codes now. */
bool ps2_keyboard_key(struct ps2_keyboard *k, unsigned key, bool down);
/* What the controller makes of a byte of set 2. */
extern const uint8_t ps2_set1[128];

/* The same for the mouse. A movement is in counts (right, down, wheel towards the user); it is summed
 * up until it is reported. */
void ps2_mouse_reset(struct ps2_mouse *m);
void ps2_mouse_write(struct ps2_mouse *m, uint8_t val);
void ps2_mouse_move(struct ps2_mouse *m, int dx, int dy, int dz, uint8_t buttons);
/* Puts a packet into the queue if there is something to say and room. */
void ps2_mouse_report(struct ps2_mouse *m);

#endif
