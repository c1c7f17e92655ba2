/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * --display=terminal: text modes in the terminal, by ncurses, and its keys on the guest's
 * keyboard. Ctrl-A is the escape key, as on the serial console. A terminal tells
 * characters, not keys: what is typed is sent as a US keyboard's keys would make it.
 */
#include <curses.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli/display.h"
#include "cli/monitor.h"
#include "cli/terminal.h"
#include "dev/input.h"

#define ESCAPE		0x01	/* Ctrl-A */
#define ESCAPE_CHAR	0x1b
#define NOTE_TICKS	100

struct term {
	struct display *d;
	SCREEN *screen;
	bool escaped;
	struct monitor *monitor;	/* NULL: it was never asked for */
	bool redraw;
	bool monitoring;		/* its prompt is in the terminal, not the guest's screen */
	const char *note;		/* on the last line, for a while */
	unsigned note_ticks;
	int real_stderr, held_stderr;	/* what is said meanwhile comes afterwards */
};

/* --- Drawing -------------------------------------------------------------------------- */

/* IBM's colours have blue in bit 0, terminals have red there. */
static short ansi(unsigned colour)
{
	return (short)((colour & 0x0a) | (colour & 1) << 2 | (colour >> 2 & 1));
}

/* Pair 0, which is there already, is grey on black. */
static unsigned pair_of(unsigned fore, unsigned back)
{
	return COLORS >= 16 ? (back << 4 | fore) ^ 7 : ((back & 7) << 3 | (fore & 7)) ^ 7;
}

static void make_pairs(void)
{
	unsigned n;

	if (!has_colors())
		return;
	start_color();			/* sets COLORS and COLOR_PAIRS */
	n = COLORS >= 16 ? 16 : 8;
	assume_default_colors(COLOR_WHITE, COLOR_BLACK);
	for (unsigned back = 0; back < n; back++)
		for (unsigned fore = 0; fore < n; fore++)
			if (pair_of(fore, back) && (int)pair_of(fore, back) < COLOR_PAIRS)
				init_pair((short)pair_of(fore, back), ansi(fore), ansi(back));
}

static void put_cell(const struct screen *s, unsigned cell, int y, int x)
{
	unsigned attr = cell >> 8, fore = attr & 15, back = attr >> 4 & (s->blink ? 7 : 15);
	wchar_t text[2] = { cp437[cell & 0xff], 0 };
	attr_t how = A_NORMAL;
	cchar_t c;

	if (s->blink && attr & 0x80)
		how |= A_BLINK;
	if (COLORS < 16 && fore & 8)
		how |= A_BOLD;
	setcchar(&c, text, how, has_colors() ? (short)pair_of(fore, back) : 0, NULL);
	mvadd_wch(y, x, &c);
}

/* A window that is too small shows the lines around the cursor. */
static void draw_text(const struct screen *s)
{
	unsigned lines = (unsigned)LINES, from = 0;

	if (s->cursor && s->rows > lines && s->cursor_row >= lines)
		from = s->cursor_row - lines + 1;
	for (unsigned y = 0; y < lines && from + y < s->rows; y++)
		for (unsigned x = 0; x < s->columns && x < (unsigned)COLS; x++)
			put_cell(s, s->cells[(from + y) * s->columns + x], (int)y, (int)x);
	curs_set(s->cursor);
	if (s->cursor && s->cursor_column < (unsigned)COLS)
		move((int)(s->cursor_row - from), (int)s->cursor_column);
}

static void draw(struct term *t, const struct screen *s)
{
	int y, x;

	erase();
	if (s->kind == SCREEN_TEXT) {
		draw_text(s);
	} else {
		curs_set(0);
		if (s->kind == SCREEN_GRAPHICS)
			mvprintw(LINES / 2, 0, "(graphics, %u x %u: to be seen with --display=vnc)",
				 s->width, s->height);
	}
	if (t->note) {
		getyx(stdscr, y, x);
		attron(A_REVERSE);
		mvaddnstr(LINES - 1, 0, t->note, COLS - 1);
		attroff(A_REVERSE);
		move(y, x);
	}
	refresh();
}

/* --- Keys ------------------------------------------------------------------------------ */

static void tap(struct term *t, unsigned key, unsigned with)
{
	if (with)
		display_key(t->d, with, true);
	display_key(t->d, key, true);
	display_key(t->d, key, false);
	if (with)
		display_key(t->d, with, false);
}

static void type(struct term *t, wint_t c)
{
	unsigned k = c < 0x80 ? input_typing((unsigned char)c) : 0;

	if (k)
		tap(t, k & 0xff, k & TYPE_SHIFT ? PC_SHIFT : k & TYPE_CTRL ? PC_CTRL : 0);
}

/* What ncurses makes of a terminal's sequences. */
static const struct { int code; uint8_t key, with; } keys[] = {
	{ KEY_UP, PC_UP, 0 }, { KEY_DOWN, PC_DOWN, 0 }, { KEY_LEFT, PC_LEFT, 0 },
	{ KEY_RIGHT, PC_RIGHT, 0 }, { KEY_HOME, PC_HOME, 0 }, { KEY_END, PC_END, 0 },
	{ KEY_PPAGE, PC_PAGE_UP, 0 }, { KEY_NPAGE, PC_PAGE_DOWN, 0 }, { KEY_IC, PC_INSERT, 0 },
	{ KEY_DC, PC_DELETE, 0 }, { KEY_BACKSPACE, PC_BACKSPACE, 0 }, { KEY_ENTER, PC_ENTER, 0 },
	{ KEY_BTAB, PC_TAB, PC_SHIFT }, { KEY_SR, PC_UP, PC_SHIFT }, { KEY_SF, PC_DOWN, PC_SHIFT },
	{ KEY_SLEFT, PC_LEFT, PC_SHIFT }, { KEY_SRIGHT, PC_RIGHT, PC_SHIFT },
	{ KEY_SHOME, PC_HOME, PC_SHIFT }, { KEY_SEND, PC_END, PC_SHIFT },
	{ KEY_SPREVIOUS, PC_PAGE_UP, PC_SHIFT }, { KEY_SNEXT, PC_PAGE_DOWN, PC_SHIFT },
	{ KEY_SIC, PC_INSERT, PC_SHIFT }, { KEY_SDC, PC_DELETE, PC_SHIFT },
};

/* terminfo numbers F1 with Shift F13, with Ctrl F25, with both F37, with Alt F49. */
static void function_key(struct term *t, unsigned n)
{
	static const uint8_t with[] = { 0, PC_SHIFT, PC_CTRL, 0, PC_ALT };
	unsigned group = (n - 1) / 12, i = (n - 1) % 12;

	if (group < ARRAY_LEN(with))
		tap(t, i < 10 ? PC_F1 + i : i == 10 ? PC_F11 : PC_F12, with[group]);
}

static void special(struct term *t, int code)
{
	if (code > KEY_F0 && code <= KEY_F0 + 60)
		function_key(t, (unsigned)(code - KEY_F0));
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (keys[i].code == code)
			tap(t, keys[i].key, keys[i].with);
}

static void note(struct term *t, const char *text)
{
	t->note = text;
	t->note_ticks = NOTE_TICKS;
}

/* ncurses steps aside: the terminal is as terminal_raw() left it, and shows what was on it before. */
static void monitor_toggle(struct term *t)
{
	if (!t->monitor)
		t->monitor = monitor_create(display_control(t->d), STDOUT_FILENO);
	if (!t->monitor)
		return;
	t->monitoring = !t->monitoring;
	if (t->monitoring) {
		endwin();
		monitor_enter(t->monitor);
	} else {
		monitor_leave(t->monitor);
		clearok(stdscr, TRUE);
		t->redraw = true;
	}
}

static void monitor_byte(struct term *t, uint8_t byte)
{
	bool escape = t->escaped;

	t->escaped = !escape && byte == ESCAPE;
	if (t->escaped)
		return;
	if (!escape || byte == ESCAPE || byte == 'a') {
		byte = escape ? ESCAPE : byte;
		if (!monitor_input(t->monitor, &byte, 1))
			monitor_toggle(t);
	} else if (byte == 'c') {
		monitor_toggle(t);
	} else if (byte == 'x') {
		display_quit(t->d);
	}
}

/* Byte by byte: what follows Ctrl-A c is ncurses' again. */
static void monitor_step(struct term *t)
{
	struct pollfd p[2] = { { .fd = STDIN_FILENO, .events = POLLIN },
			       { .fd = monitor_fd(t->monitor), .events = POLLIN } };
	uint8_t byte;

	if (poll(p, 2, DISPLAY_TICK_MS) <= 0)
		return;
	if (p[1].revents)
		monitor_progress(t->monitor);
	p[0].revents &= POLLIN;
	while (t->monitoring && p[0].revents && read(STDIN_FILENO, &byte, 1) == 1) {
		monitor_byte(t, byte);
		poll(p, 1, 0);
	}
}

static void after_escape(struct term *t, wint_t c)
{
	switch (c) {
	case 'x':
		display_quit(t->d);
		break;
	case 'a': case ESCAPE:
		tap(t, input_typing('a'), PC_CTRL);
		break;
	case 'c':
		monitor_toggle(t);
		break;
	case 'd':
		display_key(t->d, PC_CTRL, true);
		display_key(t->d, PC_ALT, true);
		tap(t, PC_DELETE, 0);
		display_key(t->d, PC_ALT, false);
		display_key(t->d, PC_CTRL, false);
		break;
	case '1' ... '9':
		tap(t, PC_F1 + (unsigned)(c - '1'), PC_ALT);
		break;
	case 'r':
		clearok(stdscr, TRUE);
		break;
	default:
		note(t, "Ctrl-A x quits, c monitor, a sends Ctrl-A, d Ctrl-Alt-Del, 1-9 Alt-F1 to Alt-F9, "
			"r draws anew");
	}
}

/* Escape with something right behind it is how terminals send Alt. */
static void take_char(struct term *t, wint_t c)
{
	wint_t next;
	int got;

	if (t->escaped || c == ESCAPE) {
		if (t->escaped)
			after_escape(t, c);
		t->escaped = !t->escaped;
		return;
	}
	if (c != ESCAPE_CHAR || (got = get_wch(&next)) == ERR) {
		type(t, c);
		return;
	}
	display_key(t->d, PC_ALT, true);
	if (got == KEY_CODE_YES)
		special(t, (int)next);
	else
		type(t, next);
	display_key(t->d, PC_ALT, false);
}

static void term_step(void *kind, const struct screen *s, bool fresh)
{
	struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };
	struct term *t = kind;
	wint_t c;
	int got;

	if (t->monitoring) {
		monitor_step(t);
		return;
	}
	fresh = fresh || t->redraw;
	t->redraw = false;
	if (t->note && !--t->note_ticks) {
		t->note = NULL;
		fresh = true;
	}
	if ((fresh || t->note_ticks == NOTE_TICKS - 1) && s->width)
		draw(t, s);
	if (display_full(t->d))
		p.fd = -1;
	poll(&p, 1, DISPLAY_TICK_MS);
	while (!display_full(t->d) && !t->monitoring && (got = get_wch(&c)) != ERR) {
		if (got == OK)
			take_char(t, c);
		else if (c == KEY_RESIZE)
			draw(t, s);
		else
			special(t, (int)c);
	}
}

/* --- Life --------------------------------------------------------------------------------- */

/* Lines on standard error would be lost among the guest's. */
static void hold_stderr(struct term *t)
{
	t->real_stderr = t->held_stderr = -1;
	if (!isatty(STDERR_FILENO))
		return;
	t->held_stderr = memfd_create("hemi-stderr", MFD_CLOEXEC);
	if (t->held_stderr < 0)
		return;
	t->real_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	if (t->real_stderr >= 0)
		dup2(t->held_stderr, STDERR_FILENO);
}

static void release_stderr(struct term *t)
{
	char buf[512];
	ssize_t n;

	if (t->real_stderr >= 0) {
		dup2(t->real_stderr, STDERR_FILENO);
		close(t->real_stderr);
		lseek(t->held_stderr, 0, SEEK_SET);
		while ((n = read(t->held_stderr, buf, sizeof(buf))) > 0)
			if (write(STDERR_FILENO, buf, (size_t)n) < 0)
				break;
	}
	if (t->held_stderr >= 0)
		close(t->held_stderr);
}

static void term_close(void *kind)
{
	struct term *t = kind;

	if (t->screen) {
		endwin();
		delscreen(t->screen);
		terminal_restore();
	}
	release_stderr(t);
	monitor_destroy(t->monitor);
	free(t);
}

/* terminal_raw() sees to it that the terminal is restored whatever happens. */
static int term_open(struct display *d, void **kind, char why[static WHY_SIZE])
{
	struct term *t;

	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
		return load_fail(why, -ENOTTY, "--display=terminal: standard input and output are not a "
				 "terminal");
	t = calloc(1, sizeof(*t));
	if (!t)
		return load_fail(why, -ENOMEM, "display: %s", strerror(ENOMEM));
	t->d = d;
	t->real_stderr = t->held_stderr = -1;
	setlocale(LC_CTYPE, "");
	if (MB_CUR_MAX == 1)
		setlocale(LC_CTYPE, "C.UTF-8");
	if (!terminal_raw(STDIN_FILENO) || !(t->screen = newterm(NULL, stdout, stdin))) {
		terminal_restore();
		free(t);
		return load_fail(why, -ENOTTY, "--display=terminal: the terminal cannot be used (TERM=%s)",
				 getenv("TERM") ? getenv("TERM") : "");
	}
	raw();
	noecho();
	nonl();
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	set_escdelay(25);
	make_pairs();
	hold_stderr(t);
	note(t, display_machine(d)->config->paused ?
	     "hemi: the machine is stopped; Ctrl-A c and the command cont start it" :
	     "hemi: Ctrl-A x quits, Ctrl-A h tells more");
	*kind = t;
	return 0;
}

const struct display_kind_ops display_terminal = {
	.name = "terminal", .open = term_open, .step = term_step, .close = term_close,
};
