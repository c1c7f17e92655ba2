/* SPDX-License-Identifier: BSD-2-Clause */
/* Keys by name, as QEMU calls them, and the command that presses them. */
#include <stdlib.h>
#include <string.h>

#include "cli/control.h"
#include "dev/input.h"

#define HOLD_MS		100
#define HOLD_MAX_MS	3600000

#define EXT		PC_EXTENDED

static const struct { const char *name; uint8_t code; } keys[] = {
	{ "shift", PC_SHIFT }, { "shift_r", PC_SHIFT_RIGHT },
	{ "alt", PC_ALT }, { "alt_r", PC_ALT_GR },
	{ "ctrl", PC_CTRL }, { "ctrl_r", PC_CTRL_RIGHT },
	{ "meta_l", PC_META }, { "meta_r", PC_META_RIGHT }, { "menu", PC_MENU },
	{ "esc", PC_ESC },
	{ "1", 0x02 }, { "2", 0x03 }, { "3", 0x04 }, { "4", 0x05 }, { "5", 0x06 },
	{ "6", 0x07 }, { "7", 0x08 }, { "8", 0x09 }, { "9", 0x0a }, { "0", 0x0b },
	{ "minus", 0x0c }, { "equal", 0x0d }, { "backspace", PC_BACKSPACE }, { "tab", PC_TAB },
	{ "q", 0x10 }, { "w", 0x11 }, { "e", 0x12 }, { "r", 0x13 }, { "t", 0x14 },
	{ "y", 0x15 }, { "u", 0x16 }, { "i", 0x17 }, { "o", 0x18 }, { "p", 0x19 },
	{ "bracket_left", 0x1a }, { "bracket_right", 0x1b }, { "ret", PC_ENTER },
	{ "a", 0x1e }, { "s", 0x1f }, { "d", 0x20 }, { "f", 0x21 }, { "g", 0x22 },
	{ "h", 0x23 }, { "j", 0x24 }, { "k", 0x25 }, { "l", 0x26 },
	{ "semicolon", 0x27 }, { "apostrophe", 0x28 }, { "grave_accent", 0x29 },
	{ "backslash", 0x2b },
	{ "z", 0x2c }, { "x", 0x2d }, { "c", 0x2e }, { "v", 0x2f }, { "b", 0x30 },
	{ "n", 0x31 }, { "m", 0x32 }, { "comma", 0x33 }, { "dot", 0x34 }, { "slash", 0x35 },
	{ "spc", PC_SPACE }, { "caps_lock", PC_CAPS },
	{ "f1", 0x3b }, { "f2", 0x3c }, { "f3", 0x3d }, { "f4", 0x3e }, { "f5", 0x3f },
	{ "f6", 0x40 }, { "f7", 0x41 }, { "f8", 0x42 }, { "f9", 0x43 }, { "f10", 0x44 },
	{ "f11", PC_F11 }, { "f12", PC_F12 },
	{ "num_lock", PC_NUM }, { "scroll_lock", PC_SCROLL },
	{ "kp_multiply", 0x37 }, { "asterisk", 0x37 }, { "kp_divide", PC_PAD_SLASH },
	{ "kp_subtract", 0x4a }, { "kp_add", 0x4e }, { "kp_enter", PC_PAD_ENTER },
	{ "kp_decimal", 0x53 }, { "kp_7", 0x47 }, { "kp_8", 0x48 }, { "kp_9", 0x49 },
	{ "kp_4", 0x4b }, { "kp_5", 0x4c }, { "kp_6", 0x4d }, { "kp_1", 0x4f },
	{ "kp_2", 0x50 }, { "kp_3", 0x51 }, { "kp_0", 0x52 },
	{ "less", 0x56 }, { "sysrq", PC_PRINT }, { "print", PC_PRINT }, { "pause", PC_PAUSE },
	{ "home", PC_HOME }, { "up", PC_UP }, { "pgup", PC_PAGE_UP }, { "left", PC_LEFT },
	{ "right", PC_RIGHT }, { "end", PC_END }, { "down", PC_DOWN },
	{ "pgdn", PC_PAGE_DOWN }, { "insert", PC_INSERT }, { "delete", PC_DELETE },
	{ "ro", 0x73 }, { "henkan", 0x79 }, { "muhenkan", 0x7b }, { "yen", 0x7d },
	{ "hiragana", 0x70 }, { "power", EXT | 0x5e }, { "sleep", EXT | 0x5f },
	{ "wake", EXT | 0x63 }, { "volumeup", EXT | 0x30 }, { "volumedown", EXT | 0x2e },
	{ "audiomute", EXT | 0x20 },
};

const char *keys_name(unsigned i)
{
	return i < ARRAY_LEN(keys) ? keys[i].name : NULL;
}

bool key_number(int64_t code, uint8_t *key)
{
	*key = (uint8_t)code;
	return code > 0 && code < 0x100 && code & 0x7f;
}

/* A hyphen separates keys, so the key of that name is "minus"; "<" is one of QEMU's names. */
bool key_parse(const char *name, size_t len, uint8_t *key)
{
	char number[16], *end;

	if (len == 1 && *name == '<') {
		*key = 0x56;
		return true;
	}
	for (unsigned i = 0; i < ARRAY_LEN(keys); i++) {
		if (strlen(keys[i].name) == len && memcmp(keys[i].name, name, len) == 0) {
			*key = keys[i].code;
			return true;
		}
	}
	if (len < 3 || len >= sizeof(number) || memcmp(name, "0x", 2))
		return false;
	memcpy(number, name, len);
	number[len] = '\0';
	return key_number(strtol(number, &end, 16), key) && !*end;
}

bool keys_parse(const char *names, struct value *out)
{
	out->nkeys = 0;
	for (;;) {
		size_t n = strcspn(names, "-");

		if (out->nkeys == CALL_KEYS || !key_parse(names, n, &out->keys[out->nkeys]))
			return false;
		out->nkeys++;
		if (!names[n])
			return true;
		names += n + 1;
	}
}

void verb_sendkey(struct call *c)
{
	const struct value *hold = &c->args[1];

	if (hold->text && (hold->number < 0 || hold->number > HOLD_MAX_MS))
		call_fail(c, "Parameter 'hold-time' is out of range");
	else if (!call_machine(c)->input)
		call_fail(c, "There is no keyboard");
	else if (!control_press(c->control, &c->args[0], hold->text ? hold->number : HOLD_MS))
		call_fail(c, "Too many keys wait for the machine to take them");
}
