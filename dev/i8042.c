/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The AT's keyboard controller (8042, ports 0x60 and 0x64) and a keyboard on which
 * nobody types. It exists for A20, for the reset pulse, and so that probing finds
 * answers at once: commands to the keyboard are acknowledged, reset passes its
 * self test, identify says "MF2". There is no auxiliary port: its test fails, its
 * loop answers without the auxiliary flag, a byte sent to it comes back as a
 * time-out - the three things that drivers look at.
 *
 *   command byte  6 translate | 5 aux off | 4 keyboard off | 2 system | 0 IRQ 1 on
 *   status        7 parity | 6 time-out | 5 aux | 4 unlocked | 3 command | 2 system
 *                 1 input full | 0 output full
 */
#include "dev/table.h"
#include "machine/machine.h"
#include "machine/snapshot.h"

#include <errno.h>

#define I8042_VERSION	1
#define DATA		0x60
#define COMMAND		0x64
#define LINE		1
#define QUEUE		16

#define CTR_IRQ		0x01
#define CTR_SYSTEM	0x04
#define CTR_KBD_OFF	0x10
#define CTR_AUX_OFF	0x20
#define CTR_TRANSLATE	0x40

#define ST_OUTPUT_FULL	0x01
#define ST_SYSTEM	0x04
#define ST_COMMAND	0x08
#define ST_UNLOCKED	0x10
#define ST_AUX		0x20
#define ST_TIMEOUT	0x40

#define OP_NOT_RESET	0x01		/* output port */
#define OP_A20		0x02
#define OP_OUTPUT_FULL	0x10

/* Controller commands. */
enum { C_READ_CTR = 0x20, C_WRITE_CTR = 0x60, C_AUX_OFF = 0xa7, C_AUX_ON, C_AUX_TEST,
       C_SELF_TEST, C_KBD_TEST, C_KBD_OFF = 0xad, C_KBD_ON, C_READ_INPUT = 0xc0,
       C_READ_OUTPUT = 0xd0, C_WRITE_OUTPUT, C_WRITE_KBD_BUFFER, C_AUX_LOOP, C_WRITE_AUX,
       C_A20_OFF = 0xdd, C_A20_ON = 0xdf, C_PULSE = 0xf0 };

/* Keyboard commands and answers. */
enum { K_LEDS = 0xed, K_ECHO, K_SET = 0xf0, K_IDENTIFY = 0xf2, K_RATE, K_ENABLE, K_DISABLE,
       K_DEFAULTS, K_RESEND = 0xfe, K_RESET };
#define K_ACK		0xfa
#define K_PASSED	0xaa
#define K_NAK		0xfe

struct i8042 {
	struct machine *m;
	uint8_t ram[32];		/* ram[0] is the command byte */
	uint8_t output;			/* output port, without the A20 bit */
	uint8_t status;			/* flags of the byte in the buffer, and ST_COMMAND */
	uint8_t buffer, last;		/* what 0x60 gives; what the keyboard sent last */
	uint8_t expects;		/* controller command whose data comes next, or 0 */
	uint8_t kbd_expects;		/* keyboard command whose data comes next, or 0 */
	uint8_t scan_set;
	uint8_t queue[QUEUE];		/* from the keyboard, not yet in the buffer */
	uint8_t head, count;
};

static void i8042_line(struct i8042 *k)
{
	bool irq = k->status & ST_OUTPUT_FULL && !(k->status & ST_AUX) && k->ram[0] & CTR_IRQ;

	irq_set(k->m, LINE, irq);
}

static void buffer_put(struct i8042 *k, uint8_t byte, uint8_t flags)
{
	k->buffer = byte;
	k->status = (k->status & ST_COMMAND) | ST_OUTPUT_FULL | flags;
	i8042_line(k);
}

/* The codes that set 2 -> set 1 translation changes among those we can send. */
static uint8_t translate(uint8_t byte)
{
	static const uint8_t map[][2] = { { 0x83, 0x41 }, { 1, 0x43 }, { 2, 0x41 }, { 3, 0x3f } };

	for (unsigned i = 0; i < ARRAY_LEN(map); i++)
		if (map[i][0] == byte)
			return map[i][1];
	return byte;
}

/* The keyboard's next byte moves up when the buffer is free and its clock is on. */
static void i8042_pull(struct i8042 *k)
{
	uint8_t byte;

	if (k->status & ST_OUTPUT_FULL || !k->count || k->ram[0] & CTR_KBD_OFF)
		return;
	byte = k->queue[k->head];
	k->head = (k->head + 1) % QUEUE;
	k->count--;
	k->last = byte;
	buffer_put(k, k->ram[0] & CTR_TRANSLATE ? translate(byte) : byte, 0);
}

static void kbd_send(struct i8042 *k, uint8_t byte)
{
	if (k->count < QUEUE)
		k->queue[(k->head + k->count++) % QUEUE] = byte;
}

static void kbd_data(struct i8042 *k, uint8_t command, uint8_t val)
{
	kbd_send(k, K_ACK);
	if (command != K_SET)
		return;
	if (val == 0)
		kbd_send(k, k->scan_set);
	else if (val <= 3)
		k->scan_set = val;
}

static void kbd_write(struct i8042 *k, uint8_t val)
{
	uint8_t command = k->kbd_expects;

	k->ram[0] &= ~CTR_KBD_OFF;	/* sending turns the keyboard's clock on */
	k->kbd_expects = 0;
	if (command && val < K_LEDS) {
		kbd_data(k, command, val);
		return;
	}
	k->count = 0;			/* a command stops what is being sent */
	switch (val) {
	case K_LEDS: case K_SET: case K_RATE:
		k->kbd_expects = val;
		kbd_send(k, K_ACK);
		break;
	case K_ECHO:
		kbd_send(k, K_ECHO);
		break;
	case K_IDENTIFY:
		kbd_send(k, K_ACK);
		kbd_send(k, 0xab);
		kbd_send(k, 0x83);
		break;
	case K_RESEND:
		kbd_send(k, k->last);
		break;
	case K_RESET:
		k->scan_set = 2;
		kbd_send(k, K_ACK);
		kbd_send(k, K_PASSED);
		break;
	case K_DEFAULTS: case K_DISABLE:
		k->scan_set = 2;
		kbd_send(k, K_ACK);
		break;
	case K_ENABLE: case 0xf7: case 0xf8: case 0xf9: case 0xfa: case 0xfb: case 0xfc: case 0xfd:
		kbd_send(k, K_ACK);
		break;
	default:
		kbd_send(k, K_NAK);
	}
}

static void output_write(struct i8042 *k, uint8_t val)
{
	k->m->a20 = val & OP_A20;
	k->output = val & ~OP_A20;
	if (!(val & OP_NOT_RESET))
		k->m->power = POWER_RESET;
}

static uint8_t output_read(const struct i8042 *k)
{
	return (k->output & ~OP_OUTPUT_FULL) | (k->m->a20 ? OP_A20 : 0) |
	       (k->status & ST_OUTPUT_FULL && !(k->status & ST_AUX) ? OP_OUTPUT_FULL : 0);
}

static void i8042_command(struct i8042 *k, uint8_t val)
{
	k->expects = 0;
	switch (val) {
	case C_READ_CTR ... C_READ_CTR + 0x1f:
		buffer_put(k, k->ram[val & 0x1f], 0);
		break;
	case C_WRITE_CTR ... C_WRITE_CTR + 0x1f:
	case C_WRITE_OUTPUT: case C_WRITE_KBD_BUFFER: case C_AUX_LOOP: case C_WRITE_AUX:
		k->expects = val;
		break;
	case C_AUX_OFF:
		k->ram[0] |= CTR_AUX_OFF;
		break;
	case C_AUX_ON:
		k->ram[0] &= ~CTR_AUX_OFF;
		break;
	case C_AUX_TEST:
		buffer_put(k, 0x01, 0);		/* clock line stuck low */
		break;
	case C_SELF_TEST:
		k->ram[0] |= CTR_SYSTEM;
		buffer_put(k, 0x55, 0);
		break;
	case C_KBD_TEST:
		buffer_put(k, 0x00, 0);
		break;
	case C_KBD_OFF:
		k->ram[0] |= CTR_KBD_OFF;
		break;
	case C_KBD_ON:
		k->ram[0] &= ~CTR_KBD_OFF;
		break;
	case C_READ_INPUT:
		buffer_put(k, 0x80, 0);		/* keyboard not locked */
		break;
	case C_READ_OUTPUT:
		buffer_put(k, output_read(k), 0);
		break;
	case C_A20_OFF:
		k->m->a20 = false;
		break;
	case C_A20_ON:
		k->m->a20 = true;
		break;
	case C_PULSE ... C_PULSE + 0x0f:	/* a clear bit pulses that output low */
		if (!(val & OP_NOT_RESET))
			k->m->power = POWER_RESET;
		break;
	}
}

static void i8042_data(struct i8042 *k, uint8_t val)
{
	uint8_t command = k->expects;

	k->expects = 0;
	switch (command) {
	case C_WRITE_CTR ... C_WRITE_CTR + 0x1f:
		k->ram[command & 0x1f] = val;
		i8042_line(k);
		break;
	case C_WRITE_OUTPUT:
		output_write(k, val);
		break;
	case C_WRITE_KBD_BUFFER: case C_AUX_LOOP:
		buffer_put(k, val, 0);
		break;
	case C_WRITE_AUX:
		buffer_put(k, K_NAK, ST_AUX | ST_TIMEOUT);
		break;
	default:
		kbd_write(k, val);
	}
}

static uint32_t i8042_in(void *dev, uint16_t port, unsigned size)
{
	struct i8042 *k = dev;
	uint8_t val;

	(void)size;
	if (port == COMMAND)
		return k->status | ST_UNLOCKED | (k->ram[0] & CTR_SYSTEM ? ST_SYSTEM : 0);
	val = k->buffer;
	k->status &= ST_COMMAND;
	i8042_line(k);
	i8042_pull(k);
	return val;
}

static void i8042_out(void *dev, uint16_t port, uint32_t val, unsigned size)
{
	struct i8042 *k = dev;

	(void)size;
	if (port == COMMAND) {
		k->status |= ST_COMMAND;
		i8042_command(k, (uint8_t)val);
	} else {
		k->status &= ~ST_COMMAND;
		i8042_data(k, (uint8_t)val);
	}
	i8042_pull(k);
}

static int i8042_init(void *dev, struct machine *m)
{
	struct i8042 *k = dev;

	k->m = m;
	bus_claim(m->bus, DATA, 1, 1, &i8042_device, k);
	bus_claim(m->bus, COMMAND, 1, 1, &i8042_device, k);
	return 0;
}

/* As a BIOS would leave it: a kernel that is loaded directly never saw one. */
static void i8042_reset(void *dev)
{
	struct i8042 *k = dev;
	struct machine *m = k->m;

	*k = (struct i8042){ .m = m, .output = OP_NOT_RESET | 0xcc, .scan_set = 2 };
	k->ram[0] = CTR_TRANSLATE | CTR_SYSTEM | CTR_IRQ | CTR_AUX_OFF;
	i8042_line(k);
}

static void i8042_save(void *dev, struct state *s)
{
	struct i8042 *k = dev;
	uint8_t b[] = { k->output, k->status, k->buffer, k->last, k->expects, k->kbd_expects,
			k->scan_set, k->head, k->count };

	state_begin(s, i8042_device.name, I8042_VERSION);
	state_put(s, k->ram, sizeof(k->ram));
	state_put(s, k->queue, sizeof(k->queue));
	state_put(s, b, sizeof(b));
}

static int i8042_restore(void *dev, struct state *s)
{
	struct i8042 *k = dev;
	uint8_t b[9];

	if (state_enter(s, i8042_device.name) != I8042_VERSION)
		return -EINVAL;
	state_get(s, k->ram, sizeof(k->ram));
	state_get(s, k->queue, sizeof(k->queue));
	state_get(s, b, sizeof(b));
	k->output = b[0] & ~OP_A20;
	k->status = b[1] & (ST_OUTPUT_FULL | ST_COMMAND | ST_AUX | ST_TIMEOUT);
	k->buffer = b[2];
	k->last = b[3];
	k->expects = b[4];
	k->kbd_expects = b[5];
	k->scan_set = b[6];
	k->head = b[7] % QUEUE;
	k->count = b[8] <= QUEUE ? b[8] : QUEUE;
	i8042_line(k);
	return s->bad ? -EINVAL : 0;
}

const struct device_ops i8042_device = {
	.name = "i8042", .state_size = sizeof(struct i8042),
	.init = i8042_init, .reset = i8042_reset, .in = i8042_in, .out = i8042_out,
	.save = i8042_save, .restore = i8042_restore,
};
