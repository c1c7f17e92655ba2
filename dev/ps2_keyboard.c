/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An enhanced AT keyboard (IBM PS/2 Technical Reference, "Keyboards (101- and 102-Key)"):
 * commands, and the codes of its keys in scan sets 1 and 2. Set 3 is refused. The lock
 * lights are acknowledged and not shown.
 */
#include "dev/input.h"
#include "dev/ps2.h"

/* Commands and answers. */
enum { K_LEDS = 0xed, K_ECHO, K_SET = 0xf0, K_IDENTIFY = 0xf2, K_RATE, K_ENABLE, K_DISABLE,
       K_DEFAULTS, K_ALL_FIRST, K_ALL_LAST = 0xfa, K_KEY_FIRST, K_KEY_LAST = 0xfd, K_RESEND, K_RESET };
#define K_ACK		0xfa
#define K_PASSED	0xaa
#define K_NAK		0xfe

#define EXTENDED	0xe0
#define RELEASED	0xf0		/* set 2, before the code; set 1 has bit 7 */
#define LONGEST		8		/* bytes of one key */

const uint8_t ps2_set1[128] = {
	0xff, 0x43, 0x41, 0x3f, 0x3d, 0x3b, 0x3c, 0x58, 0x64, 0x44, 0x42, 0x40, 0x3e, 0x0f, 0x29, 0x59,
	0x65, 0x38, 0x2a, 0x70, 0x1d, 0x10, 0x02, 0x5a, 0x66, 0x71, 0x2c, 0x1f, 0x1e, 0x11, 0x03, 0x5b,
	0x67, 0x2e, 0x2d, 0x20, 0x12, 0x05, 0x04, 0x5c, 0x68, 0x39, 0x2f, 0x21, 0x14, 0x13, 0x06, 0x5d,
	0x69, 0x31, 0x30, 0x23, 0x22, 0x15, 0x07, 0x5e, 0x6a, 0x72, 0x32, 0x24, 0x16, 0x08, 0x09, 0x5f,
	0x6b, 0x33, 0x25, 0x17, 0x18, 0x0b, 0x0a, 0x60, 0x6c, 0x34, 0x35, 0x26, 0x27, 0x19, 0x0c, 0x61,
	0x6d, 0x73, 0x28, 0x74, 0x1a, 0x0d, 0x62, 0x6e, 0x3a, 0x36, 0x1c, 0x1b, 0x75, 0x2b, 0x63, 0x76,
	0x55, 0x56, 0x77, 0x78, 0x79, 0x7a, 0x0e, 0x7b, 0x7c, 0x4f, 0x7d, 0x4b, 0x47, 0x7e, 0x7f, 0x6f,
	0x52, 0x53, 0x50, 0x4c, 0x4d, 0x48, 0x01, 0x45, 0x57, 0x4e, 0x51, 0x4a, 0x37, 0x49, 0x46, 0x54,
};

bool ps2_take(struct ps2_queue *q, uint8_t *last, uint8_t *byte)
{
	if (!q->count)
		return false;
	*byte = *last = q->bytes[q->head];
	q->head = (q->head + 1) % PS2_QUEUE;
	q->count--;
	return true;
}

void ps2_send(struct ps2_queue *q, uint8_t byte)
{
	if (q->count < PS2_QUEUE)
		q->bytes[(q->head + q->count++) % PS2_QUEUE] = byte;
}

/* Two keys have codes above 7F in set 2, which translation leaves alone or maps itself. */
static uint8_t set2_of(uint8_t set1)
{
	if (set1 == 0x41)		/* F7 */
		return 0x83;
	if (set1 == 0x54)		/* SysRq */
		return 0x84;
	for (uint8_t i = 1; i < ARRAY_LEN(ps2_set1); i++)
		if (ps2_set1[i] == set1)
			return i;
	return 0;
}

static void send_code(struct ps2_keyboard *k, uint8_t set1, bool extended, bool down)
{
	if (extended)
		ps2_send(&k->out, EXTENDED);
	if (k->scan_set == 1) {
		ps2_send(&k->out, down ? set1 : set1 | 0x80);
		return;
	}
	if (!down)
		ps2_send(&k->out, RELEASED);
	ps2_send(&k->out, set2_of(set1));
}

/* Pause says all when it goes down: the codes of Ctrl-NumLock, behind a prefix of its own. */
static void send_pause(struct ps2_keyboard *k)
{
	for (unsigned up = 0; up < 2; up++) {
		ps2_send(&k->out, 0xe1);
		send_code(k, PC_CTRL, false, !up);
		send_code(k, PC_NUM, false, !up);
	}
}

bool ps2_keyboard_key(struct ps2_keyboard *k, unsigned key, bool down)
{
	uint8_t set1 = key & 0x7f;

	if (k->out.count > PS2_QUEUE - 2 * LONGEST)
		return false;
	if (k->off || !set2_of(set1))
		return true;
	if (key == PC_PAUSE) {
		if (down)
			send_pause(k);
	} else if (key == PC_PRINT) {
		/* A shift key that is not there goes first and is let go of last. */
		send_code(k, down ? PC_SHIFT : set1, true, down);
		send_code(k, down ? set1 : PC_SHIFT, true, down);
	} else {
		send_code(k, set1, key & PC_EXTENDED, down);
	}
	return true;
}

static void take_data(struct ps2_keyboard *k, uint8_t command, uint8_t val)
{
	if (command == K_SET && val > 2) {
		ps2_send(&k->out, K_NAK);
		return;
	}
	ps2_send(&k->out, K_ACK);
	if (command != K_SET)
		return;
	if (val == 0)
		ps2_send(&k->out, k->scan_set);
	else
		k->scan_set = val;
}

void ps2_keyboard_reset(struct ps2_keyboard *k)
{
	*k = (struct ps2_keyboard){ .scan_set = 2 };
}

void ps2_keyboard_write(struct ps2_keyboard *k, uint8_t val)
{
	uint8_t command = k->expects;

	k->expects = 0;
	if (command && val < K_LEDS) {
		take_data(k, command, val);
		return;
	}
	k->out.count = 0;		/* a command stops what is being sent */
	switch (val) {
	case K_LEDS: case K_SET: case K_RATE:
		k->expects = val;
		ps2_send(&k->out, K_ACK);
		break;
	case K_ECHO:
		ps2_send(&k->out, K_ECHO);
		break;
	case K_IDENTIFY:
		ps2_send(&k->out, K_ACK);
		ps2_send(&k->out, 0xab);
		ps2_send(&k->out, 0x83);
		break;
	case K_RESEND:
		ps2_send(&k->out, k->last);
		break;
	case K_RESET:
		ps2_keyboard_reset(k);
		ps2_send(&k->out, K_ACK);
		ps2_send(&k->out, K_PASSED);
		break;
	case K_DEFAULTS: case K_DISABLE:
		k->scan_set = 2;
		k->off = val == K_DISABLE;
		ps2_send(&k->out, K_ACK);
		break;
	case K_ENABLE:
		k->off = false;
		ps2_send(&k->out, K_ACK);
		break;
	case K_ALL_FIRST ... K_ALL_LAST: case K_KEY_FIRST ... K_KEY_LAST:
		ps2_send(&k->out, K_ACK);	/* of set 3 */
		break;
	default:
		ps2_send(&k->out, K_NAK);
	}
}
