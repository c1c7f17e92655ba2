/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The AT's keyboard controller (8042, ports 0x60 and 0x64): between the machine and the
 * keyboard and the mouse on its two cables, with A20 and the reset pulse besides.
 *
 *   command byte  6 translate | 5 aux off | 4 keyboard off | 2 system | 1 IRQ 12 on | 0 IRQ 1 on
 *   status        7 parity | 6 time-out | 5 aux | 4 unlocked | 3 command | 2 system
 *                 1 input full | 0 output full
 */
#include "dev/input.h"
#include "dev/ps2.h"
#include "dev/table.h"
#include "machine/machine.h"
#include "machine/snapshot.h"

#include <errno.h>

#define I8042_VERSION	3
#define DATA		0x60
#define COMMAND		0x64
#define LINE		1
#define AUX_LINE	12

#define CTR_IRQ		0x01
#define CTR_AUX_IRQ	0x02
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
#define RELEASED	0xf0		/* set 2, before a code */

#define OP_NOT_RESET	0x01		/* output port */
#define OP_A20		0x02
#define OP_OUTPUT_FULL	0x10
#define OP_AUX_FULL	0x20

/* Controller commands. */
enum { C_READ_CTR = 0x20, C_WRITE_CTR = 0x60, C_AUX_OFF = 0xa7, C_AUX_ON, C_AUX_TEST,
       C_SELF_TEST, C_KBD_TEST, C_KBD_OFF = 0xad, C_KBD_ON, C_READ_INPUT = 0xc0,
       C_READ_OUTPUT = 0xd0, C_WRITE_OUTPUT, C_WRITE_KBD_BUFFER, C_AUX_LOOP, C_WRITE_AUX,
       C_A20_OFF = 0xdd, C_A20_ON = 0xdf, C_PULSE = 0xf0 };

struct i8042 {
	struct machine *m;
	uint8_t ram[32];		/* ram[0] is the command byte */
	uint8_t output;			/* output port, without the A20 bit */
	uint8_t status;			/* flags of the byte in the buffer, and ST_COMMAND */
	uint8_t buffer;			/* what 0x60 gives */
	uint8_t expects;		/* controller command whose data comes next, or 0 */
	uint8_t released;		/* translation has seen RELEASED */
	struct ps2_keyboard keyboard;
	struct ps2_mouse mouse;
};

static void i8042_line(struct i8042 *k)
{
	bool full = k->status & ST_OUTPUT_FULL, aux = k->status & ST_AUX;

	irq_set(k->m, LINE, full && !aux && k->ram[0] & CTR_IRQ);
	irq_set(k->m, AUX_LINE, full && aux && k->ram[0] & CTR_AUX_IRQ);
}

static void buffer_put(struct i8042 *k, uint8_t byte, uint8_t flags)
{
	k->buffer = byte;
	k->status = (k->status & ST_COMMAND) | ST_OUTPUT_FULL | flags;
	i8042_line(k);
}

/* Set 2 becomes set 1: a code's release is bit 7 of it. False: no byte comes of this one. */
static bool translate(struct i8042 *k, uint8_t *byte)
{
	uint8_t up = k->released ? 0x80 : 0;

	if (!(k->ram[0] & CTR_TRANSLATE))
		return true;
	if (*byte == RELEASED) {
		k->released = true;
		return false;
	}
	k->released = false;
	if (*byte == 0x83)
		*byte = 0x41;
	else if (*byte == 0x84)
		*byte = 0x54;
	else if (*byte < ARRAY_LEN(ps2_set1))
		*byte = ps2_set1[*byte];
	*byte |= up;
	return true;
}

/* What the user did goes to the devices as far as they have room. */
static void take_input(struct i8042 *k)
{
	const struct input_event *e;

	while ((e = input_peek(k->m))) {
		if (e->kind == INPUT_MOUSE)
			ps2_mouse_move(&k->mouse, e->dx, e->dy, e->dz, e->code);
		else if (!ps2_keyboard_key(&k->keyboard, e->code, e->down))
			return;
		input_next(k->m);
	}
}

/* A device's next byte moves up when the buffer is free and its clock is on. */
static void i8042_pull(struct i8042 *k)
{
	uint8_t byte;

	take_input(k);
	while (!(k->status & ST_OUTPUT_FULL) && !(k->ram[0] & CTR_KBD_OFF) &&
	       ps2_take(&k->keyboard.out, &k->keyboard.last, &byte))
		if (translate(k, &byte))
			buffer_put(k, byte, 0);
	if (k->status & ST_OUTPUT_FULL || k->ram[0] & CTR_AUX_OFF)
		return;
	ps2_mouse_report(&k->mouse);
	if (ps2_take(&k->mouse.out, &k->mouse.last, &byte))
		buffer_put(k, byte, ST_AUX);
}

static void i8042_ready(void *arg)
{
	i8042_pull(arg);
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
	return (k->output & ~(OP_OUTPUT_FULL | OP_AUX_FULL)) | (k->m->a20 ? OP_A20 : 0) |
	       (!(k->status & ST_OUTPUT_FULL) ? 0 : k->status & ST_AUX ? OP_AUX_FULL : OP_OUTPUT_FULL);
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
		buffer_put(k, 0x00, 0);
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
		buffer_put(k, val, command == C_AUX_LOOP ? ST_AUX : 0);
		break;
	/* Sending turns a device's clock on. */
	case C_WRITE_AUX:
		k->ram[0] &= ~CTR_AUX_OFF;
		ps2_mouse_write(&k->mouse, val);
		break;
	default:
		k->ram[0] &= ~CTR_KBD_OFF;
		k->released = false;
		ps2_keyboard_write(&k->keyboard, val);
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
	return input_create(m, i8042_ready, k);
}

/* As a BIOS would leave it: a kernel that is loaded directly never saw one. */
static void i8042_reset(void *dev)
{
	struct i8042 *k = dev;
	struct machine *m = k->m;

	*k = (struct i8042){ .m = m, .output = OP_NOT_RESET | 0xcc };
	ps2_keyboard_reset(&k->keyboard);
	ps2_mouse_reset(&k->mouse);
	k->ram[0] = CTR_TRANSLATE | CTR_SYSTEM | CTR_IRQ | CTR_AUX_OFF;
	i8042_line(k);
}

static void i8042_save(void *dev, struct state *s)
{
	struct i8042 *k = dev;
	uint8_t b[] = { k->output, k->status, k->buffer, k->expects, k->released };

	state_begin(s, i8042_device.name, I8042_VERSION);
	state_put(s, k->ram, sizeof(k->ram));
	state_put(s, b, sizeof(b));
	state_put(s, &k->keyboard, sizeof(k->keyboard));
	state_put(s, &k->mouse, sizeof(k->mouse));
	input_save(k->m, s);
}

static void queue_check(struct ps2_queue *q)
{
	q->head %= PS2_QUEUE;
	q->count = q->count <= PS2_QUEUE ? q->count : PS2_QUEUE;
}

static int i8042_restore(void *dev, struct state *s)
{
	struct i8042 *k = dev;
	uint8_t b[5];

	if (state_enter(s, i8042_device.name) != I8042_VERSION)
		return -EINVAL;
	state_get(s, k->ram, sizeof(k->ram));
	state_get(s, b, sizeof(b));
	state_get(s, &k->keyboard, sizeof(k->keyboard));
	state_get(s, &k->mouse, sizeof(k->mouse));
	k->output = b[0] & ~OP_A20;
	k->status = b[1] & (ST_OUTPUT_FULL | ST_COMMAND | ST_AUX | ST_TIMEOUT);
	k->buffer = b[2];
	k->expects = b[3];
	k->released = b[4] & 1;
	queue_check(&k->keyboard.out);
	queue_check(&k->mouse.out);
	k->mouse.knock %= 4;
	input_restore(k->m, s);
	i8042_line(k);
	return s->bad ? -EINVAL : 0;
}

static void i8042_fini(void *dev)
{
	struct i8042 *k = dev;

	input_destroy(k->m);
}

const struct device_ops i8042_device = {
	.name = "i8042", .state_size = sizeof(struct i8042),
	.init = i8042_init, .reset = i8042_reset, .in = i8042_in, .out = i8042_out,
	.save = i8042_save, .restore = i8042_restore, .fini = i8042_fini,
};
