/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A PS/2 mouse (IBM PS/2 Technical Reference, "Mouse") with the wheel of Microsoft's
 * IntelliMouse, which shows itself after the sample rates 200, 100 and 80.
 *
 *	7 y over | 6 x over | 5 y sign | 4 x sign | 3 one | 2 middle | 1 right | 0 left
 *	x, to the right; y, up; wheel, towards the user
 */
#include "dev/ps2.h"

enum { M_SCALE_1 = 0xe6, M_SCALE_2, M_RESOLUTION, M_STATUS, M_STREAM, M_READ, M_WRAP_OFF,
       M_WRAP = 0xee, M_REMOTE = 0xf0, M_IDENTIFY = 0xf2, M_RATE, M_ENABLE, M_DISABLE, M_DEFAULTS,
       M_RESEND = 0xfe, M_RESET };
#define M_ACK		0xfa
#define M_PASSED	0xaa
#define M_NAK		0xfe

static void defaults(struct ps2_mouse *m)
{
	m->on = m->remote = m->scaling = 0;
	m->resolution = 2;
	m->rate = 100;
	m->dx = m->dy = m->dz = 0;
}

void ps2_mouse_reset(struct ps2_mouse *m)
{
	*m = (struct ps2_mouse){ 0 };
	defaults(m);
}

/* As much of *from as fits between low and high. */
static int part(int16_t *from, int low, int high)
{
	int val = *from < low ? low : *from > high ? high : *from;

	*from = (int16_t)(*from - val);
	return val;
}

static void send_packet(struct ps2_mouse *m)
{
	int x = part(&m->dx, -255, 255), y = -part(&m->dy, -255, 255), z = m->wheel ? part(&m->dz, -8, 7) : 0;

	ps2_send(&m->out, (uint8_t)((y < 0) << 5 | (x < 0) << 4 | 0x08 | m->buttons));
	ps2_send(&m->out, (uint8_t)x);
	ps2_send(&m->out, (uint8_t)y);
	if (m->wheel)
		ps2_send(&m->out, (uint8_t)z);
	m->reported = m->buttons;
}

void ps2_mouse_report(struct ps2_mouse *m)
{
	bool news = m->dx || m->dy || (m->wheel && m->dz) || m->buttons != m->reported;

	if (m->on && !m->remote && !m->wrap && news && m->out.count <= PS2_QUEUE / 2)
		send_packet(m);
}

static int16_t add(int16_t a, int b)
{
	int sum = a + b;

	return (int16_t)(sum < -4096 ? -4096 : sum > 4096 ? 4096 : sum);
}

void ps2_mouse_move(struct ps2_mouse *m, int dx, int dy, int dz, uint8_t buttons)
{
	m->dx = add(m->dx, dx);
	m->dy = add(m->dy, dy);
	m->dz = m->wheel ? add(m->dz, dz) : 0;
	m->buttons = buttons & 7;
	ps2_mouse_report(m);
}

static void take_data(struct ps2_mouse *m, uint8_t command, uint8_t val)
{
	static const uint8_t knocks[] = { 200, 100, 80 };

	ps2_send(&m->out, M_ACK);
	if (command == M_RESOLUTION) {
		m->resolution = val & 3;
		return;
	}
	m->rate = val;
	m->knock = m->knock < 3 && val == knocks[m->knock] ? m->knock + 1 : val == knocks[0];
	if (m->knock == 3)
		m->wheel = 1;
}

static void send_status(struct ps2_mouse *m)
{
	uint8_t left = m->buttons & 1, right = m->buttons >> 1 & 1, middle = m->buttons >> 2 & 1;

	ps2_send(&m->out, (uint8_t)(m->remote << 6 | m->on << 5 | m->scaling << 4 | left << 2 |
				    middle << 1 | right));
	ps2_send(&m->out, m->resolution);
	ps2_send(&m->out, m->rate);
}

void ps2_mouse_write(struct ps2_mouse *m, uint8_t val)
{
	uint8_t command = m->expects;

	m->expects = 0;
	if (command) {
		take_data(m, command, val);
		return;
	}
	m->out.count = 0;
	if (m->wrap && val != M_RESET && val != M_WRAP_OFF) {
		ps2_send(&m->out, val);
		return;
	}
	if (val == M_RESEND) {
		ps2_send(&m->out, m->last);
		return;
	}
	ps2_send(&m->out, M_ACK);
	switch (val) {
	case M_SCALE_1: case M_SCALE_2: m->scaling = val == M_SCALE_2; break;
	case M_RESOLUTION: case M_RATE: m->expects = val; break;
	case M_STATUS: send_status(m); break;
	case M_STREAM: m->remote = 0; break;
	case M_READ: send_packet(m); break;
	case M_WRAP_OFF: case M_WRAP: m->wrap = val == M_WRAP; break;
	case M_REMOTE: m->remote = 1; break;
	case M_IDENTIFY: ps2_send(&m->out, m->wheel ? 3 : 0); break;
	case M_ENABLE: case M_DISABLE:
		m->on = val == M_ENABLE;
		m->dx = m->dy = m->dz = 0;
		break;
	case M_DEFAULTS: defaults(m); break;
	case M_RESET:
		ps2_mouse_reset(m);
		ps2_send(&m->out, M_ACK);
		ps2_send(&m->out, M_PASSED);
		ps2_send(&m->out, 0);
		break;
	default:
		m->out.count = 0;
		ps2_send(&m->out, M_NAK);
	}
}
