/* SPDX-License-Identifier: BSD-2-Clause */
/* The PC16550D against its data sheet, and the host side of a serial port. */
#include "tests/pc.h"

#include "dev/chardev.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#define BASE	0x3f8
enum { RBR = BASE, THR = BASE, DLL = BASE, IER, IIR, FCR = IIR, LCR, MCR, LSR, MSR, SCR };
#define COM1	0x0c			/* vector */

static struct chardev *console;
static char sent[10000];
static size_t nsent;

static ssize_t take_output(void *arg, const uint8_t *p, size_t n)
{
	(void)arg;
	memcpy(sent + nsent, p, n);
	nsent += n;
	return (ssize_t)n;
}

static void setup(void)
{
	char why[160];

	nsent = 0;
	ck_assert_int_eq(chardev_open(&console, &pc, "none", why), 0);
	chardev_set_output(console, take_output, NULL);
	pc_setup_with(4 << 20, console);
	pc_init_pics();
	out(LCR, 0x83);
	out(DLL, 1);
	out(IER, 0);
	out(LCR, 0x03);
	out(MCR, 0x0b);			/* DTR, RTS, OUT2 */
	in(MSR);
}

static void teardown(void)
{
	pc_teardown();
	chardev_close(console);
}

static void type(const char *text)
{
	ck_assert_uint_eq(chardev_feed(console, (const uint8_t *)text, strlen(text)), strlen(text));
	ck_assert_uint_eq(atomic_fetch_and(&pc.attention, ~ATT_INPUT) & ATT_INPUT, ATT_INPUT);
	chardev_deliver(console);
}

START_TEST(registers)
{
	ck_assert_uint_eq(in(LSR), 0x60);
	ck_assert_uint_eq(in(IIR), 0x01);
	out(SCR, 0xa5);
	ck_assert_uint_eq(in(SCR), 0xa5);
	out(IER, 0xff);
	ck_assert_uint_eq(in(IER), 0x0f);
	out(MCR, 0xff);
	ck_assert_uint_eq(in(MCR), 0x1f);
	out(LCR, 0x9b);
	out(DLL, 0x34);
	out(IER, 0x12);
	ck_assert_uint_eq(in(DLL), 0x34);
	ck_assert_uint_eq(in(IER), 0x12);
	ck_assert_uint_eq(in(LCR), 0x9b);
	out(LCR, 0x1b);
	ck_assert_uint_eq(in(IER), 0x0f);
	out(FCR, 0x01);
	ck_assert_uint_eq(in(IIR) & 0xc0, 0xc0);
	machine_reset(&pc);
	ck_assert_uint_eq(in(IER), 0);
	ck_assert_uint_eq(in(LCR), 0);
	ck_assert_uint_eq(in(MCR), 0);
	ck_assert_uint_eq(in(IIR), 0x01);
	ck_assert_uint_eq(in(LSR), 0x60);
	ck_assert_uint_eq(in(MSR), 0xb0);
}
END_TEST

START_TEST(transmit)
{
	for (const char *p = "one\ntwo"; *p; p++)
		out(THR, (uint8_t)*p);
	ck_assert_uint_eq(nsent, 4);		/* a line goes at once, the rest may wait */
	pc_run_for(3 * MS);
	ck_assert_uint_eq(nsent, 7);
	ck_assert_mem_eq(sent, "one\ntwo", 7);
	/* A guest that waits for input has sent what it had to say. */
	out(THR, '>');
	for (unsigned i = 0; i < 20; i++)
		in(LSR);
	ck_assert_uint_eq(nsent, 8);
}
END_TEST

START_TEST(thre_interrupt)
{
	out(IER, 0x02);				/* THR is empty: at once */
	ck_assert_int_eq(pc_take(), COM1);
	ck_assert_uint_eq(in(IIR), 0x02);
	ck_assert_uint_eq(in(IIR), 0x01);	/* reading it cleared it */
	out(THR, 'x');
	ck_assert_int_eq(pc_take(), COM1);
	out(IER, 0);
	ck_assert_uint_eq(in(IIR), 0x01);
	out(IER, 0x02);				/* enabled anew: asserted anew */
	ck_assert_int_eq(pc_take(), COM1);
	ck_assert_uint_eq(in(IIR), 0x02);
	out(IER, 0x02);				/* it was enabled: nothing new */
	ck_assert_uint_eq(in(IIR), 0x01);
}
END_TEST

START_TEST(receive)
{
	out(IER, 0x01);
	type("ab");
	ck_assert_int_eq(pc_take(), COM1);
	ck_assert_uint_eq(in(IIR), 0x04);
	ck_assert_uint_eq(in(LSR), 0x61);
	ck_assert_uint_eq(in(RBR), 'a');
	/* Without FIFOs the second character comes when the first has gone. */
	ck_assert_uint_eq(in(LSR), 0x61);
	ck_assert_uint_eq(in(RBR), 'b');
	ck_assert_uint_eq(in(LSR), 0x60);
	ck_assert_uint_eq(in(IIR), 0x01);
	ck_assert(!pc.intr || pc_take() == COM1);
}
END_TEST

START_TEST(fifo_trigger_and_timeout)
{
	out(FCR, 0x87);				/* trigger 8, clear, enable */
	out(IER, 0x01);
	type("1234567");
	ck_assert_uint_eq(in(IIR), 0xc1);
	ck_assert_int_eq(pc_take(), -1);
	pc_run_for(4 * 10 * SECOND / 115200 - 1000);
	ck_assert_int_eq(pc_take(), -1);
	pc_run_for(2000);			/* four character times of silence */
	ck_assert_int_eq(pc_take(), COM1);
	ck_assert_uint_eq(in(IIR), 0xcc);
	ck_assert_uint_eq(in(RBR), '1');	/* a read clears it and starts over */
	ck_assert_uint_eq(in(IIR), 0xc1);
	type("89");
	ck_assert_uint_eq(in(IIR), 0xc4);
	ck_assert_uint_eq(in(RBR), '2');
	ck_assert_uint_eq(in(IIR), 0xc1);	/* below the trigger level */
	/* Clearing the receiver. */
	out(FCR, 0x83);
	ck_assert_uint_eq(in(LSR), 0x60);
	pc_run_for(SECOND);
	ck_assert_uint_eq(in(IIR), 0xc1);
}
END_TEST

START_TEST(nothing_is_lost)
{
	char text[1001], got[1001];
	size_t n = 0;

	for (unsigned i = 0; i < 1000; i++)
		text[i] = (char)('a' + i % 26);
	text[1000] = '\0';
	out(FCR, 0xc1);
	type(text);
	while (n < 1000 && in(LSR) & 1)
		got[n++] = (char)in(RBR);
	ck_assert_uint_eq(n, 1000);
	ck_assert_mem_eq(got, text, 1000);
	ck_assert_uint_eq(in(LSR), 0x60);
}
END_TEST

START_TEST(priorities)
{
	out(FCR, 0x01);
	out(MCR, 0x1b);				/* loopback */
	in(MSR);
	out(IER, 0x0f);
	out(MCR, 0x18);				/* CTS and DSR fall: deltas */
	for (unsigned i = 0; i < 17; i++)
		out(THR, (uint8_t)i);		/* one too many: overrun */
	ck_assert_uint_eq(in(IIR), 0xc6);
	ck_assert_uint_eq(in(LSR), 0x63);
	ck_assert_uint_eq(in(LSR), 0x61);	/* reading LSR cleared OE */
	ck_assert_uint_eq(in(IIR), 0xc4);
	for (unsigned i = 0; i < 16; i++)
		ck_assert_uint_eq(in(RBR), i);	/* the FIFO kept the first sixteen */
	ck_assert_uint_eq(in(IIR), 0xc2);
	ck_assert_uint_eq(in(IIR), 0xc0);
	ck_assert_uint_eq(in(MSR) & 0x0f, 0x03);
	ck_assert_uint_eq(in(IIR), 0xc1);
	ck_assert_uint_eq(nsent, 0);		/* looped back, not sent */
	ck_assert(!pc.intr);			/* OUT2's pin is inactive in loopback */
}
END_TEST

START_TEST(modem_status)
{
	ck_assert_uint_eq(in(MSR), 0xb0);
	out(MCR, 0x10);
	in(MSR);
	out(MCR, 0x1a);				/* RTS -> CTS, OUT2 -> DCD */
	ck_assert_uint_eq(in(MSR), 0x90 | 0x09);
	ck_assert_uint_eq(in(MSR), 0x90);
	out(MCR, 0x15);				/* DTR -> DSR, OUT1 -> RI */
	ck_assert_uint_eq(in(MSR), 0x60 | 0x0b);	/* RI rose: no TERI */
	out(MCR, 0x11);
	ck_assert_uint_eq(in(MSR), 0x20 | 0x04);	/* RI fell */
}
END_TEST

START_TEST(loopback_break)
{
	out(FCR, 0x01);
	out(MCR, 0x10);
	out(LCR, 0x43);
	ck_assert_uint_eq(in(LSR), 0x60 | 0x80 | 0x11);
	ck_assert_uint_eq(in(LSR), 0x61);
	ck_assert_uint_eq(in(RBR), 0);
}
END_TEST

START_TEST(out2_gates_the_line)
{
	out(MCR, 0x03);
	out(IER, 0x02);
	ck_assert_uint_eq(in(IIR), 0x02);
	out(THR, 'x');
	ck_assert(!pc.intr);
	out(MCR, 0x0b);
	ck_assert(pc.intr);
}
END_TEST

START_TEST(round_trip)
{
	out(FCR, 0xc1);
	out(SCR, 0x77);
	out(IER, 0x05);
	type("hello");
	in(RBR);
	out(LCR, 0x1f);
	pc_run_for(SECOND);
	pc_round_trip(&uart_device);
	ck_assert_uint_eq(in(SCR), 0x77);
	ck_assert_uint_eq(in(LCR), 0x1f);
	ck_assert_uint_eq(in(MCR), 0x0b);
	ck_assert_uint_eq(in(IER), 0x05);
	ck_assert_uint_eq(in(IIR), 0xcc);
	ck_assert(pc.intr);
	for (const char *p = "ello"; *p; p++)
		ck_assert_uint_eq(in(RBR), *p);
	ck_assert_uint_eq(in(LSR), 0x60);
}
END_TEST

/* --- The host side -------------------------------------------------------------- */

START_TEST(bad_specs)
{
	static const struct { const char *spec; int err; } bad[] = {
		{ "", -EINVAL }, { "tty", -EINVAL }, { "file", -EINVAL }, { "file:", -EINVAL },
		{ "stdio:x", -EINVAL }, { "stdio:", -EINVAL }, { "file:/nonexistent/x", -ENOENT },
	};
	struct chardev *c;
	char why[160];

	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		why[0] = '\0';
		ck_assert_int_eq(chardev_open(&c, NULL, bad[i].spec, why), bad[i].err);
		ck_assert_ptr_nonnull(strstr(why, "serial port: "));
	}
}
END_TEST

START_TEST(to_file)
{
	char path[] = "/tmp/hemi-uart-XXXXXX", spec[64], why[160], buf[16];
	int fd = mkstemp(path);
	struct chardev *c;

	ck_assert_int_ge(fd, 0);
	snprintf(spec, sizeof(spec), "file:%s", path);
	ck_assert_int_eq(chardev_open(&c, NULL, spec, why), 0);
	ck_assert_int_eq(chardev_input_fd(c), -1);
	chardev_write(c, (const uint8_t *)"abc\ndef", 7);
	ck_assert_int_eq(read(fd, buf, sizeof(buf)), 4);
	chardev_close(c);
	ck_assert_int_eq(read(fd, buf, sizeof(buf)), 3);
	close(fd);
	unlink(path);
}
END_TEST

/* A reader that has gone ends the run; it does not kill the monitor. */
START_TEST(broken_pipe)
{
	struct machine m = { .power = POWER_ON };
	struct chardev *c;
	char why[160];
	int p[2];

	ck_assert_int_eq(pipe(p), 0);
	ck_assert_int_eq(dup2(p[1], STDOUT_FILENO), STDOUT_FILENO);
	close(p[0]);
	ck_assert_int_eq(chardev_open(&c, &m, "stdio", why), 0);
	chardev_write(c, (const uint8_t *)"x\n", 2);
	ck_assert_int_eq(m.power, POWER_HOST_FAILURE);
	m.power = POWER_ON;
	chardev_write(c, (const uint8_t *)"x\n", 2);
	ck_assert_int_eq(m.power, POWER_ON);	/* reported once */
	chardev_close(c);
}
END_TEST

/* A reader that does not read holds the guest, but not a request to quit. */
START_TEST(stalled_pipe)
{
	struct machine m = { .power = POWER_ON };
	static const uint8_t line[4096] = { [4095] = '\n' };
	struct chardev *c;
	char why[160];
	int p[2];

	ck_assert_int_eq(pipe(p), 0);
	ck_assert_int_eq(dup2(p[1], STDOUT_FILENO), STDOUT_FILENO);
	ck_assert_int_eq(chardev_open(&c, &m, "stdio", why), 0);
	machine_request(&m, ATT_TIMEOUT);
	for (unsigned i = 0; i < 64; i++)
		chardev_write(c, line, sizeof(line));
	ck_assert_int_eq(m.power, POWER_ON);
	chardev_close(c);
}
END_TEST

START_TEST(pseudo_terminal)
{
	static const uint8_t line[1000] = { [999] = '\n' };
	struct chardev *c;
	char why[160];
	uint8_t byte;
	int fd;

	ck_assert_int_eq(chardev_open(&c, NULL, "pty", why), 0);
	fd = open(chardev_name(c), O_RDWR | O_NOCTTY);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, "\003q", 2), 2);
	poll(&(struct pollfd){ chardev_input_fd(c), POLLIN, 0 }, 1, 1000);
	ck_assert_int_eq(chardev_pump(c), 2);
	ck_assert(chardev_get(c, &byte) && byte == 3);	/* raw: no signal */
	ck_assert(chardev_get(c, &byte) && byte == 'q');
	ck_assert(!chardev_get(c, &byte));
	ck_assert_int_eq(chardev_pump(c), -EAGAIN);
	/* Nobody reads: output is dropped, not waited for. */
	for (unsigned i = 0; i < 1000; i++)
		chardev_write(c, line, sizeof(line));
	close(fd);
	ck_assert_int_eq(chardev_pump(c), -EAGAIN);
	chardev_close(c);
}
END_TEST

#define STREAM 1000000u

static void *feeder(void *arg)
{
	for (unsigned i = 0; i < STREAM;) {
		uint8_t b[7];
		unsigned n = i + 7 <= STREAM ? 7 : STREAM - i;

		for (unsigned k = 0; k < n; k++)
			b[k] = (uint8_t)((i + k) * 31);
		i += (unsigned)chardev_feed(arg, b, n);
	}
	return NULL;
}

START_TEST(two_threads)
{
	struct chardev *c;
	pthread_t thread;
	char why[160];
	uint8_t byte;

	ck_assert_int_eq(chardev_open(&c, NULL, "none", why), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, feeder, c), 0);
	for (unsigned i = 0; i < STREAM;) {
		if (!chardev_get(c, &byte))
			continue;
		if (byte != (uint8_t)(i * 31))
			ck_abort_msg("byte %u is wrong", i);
		i++;
	}
	pthread_join(thread, NULL);
	chardev_close(c);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("uart");
	TCase *t = tcase_create("16550D"), *h = tcase_create("host");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, registers);
	tcase_add_test(t, transmit);
	tcase_add_test(t, thre_interrupt);
	tcase_add_test(t, receive);
	tcase_add_test(t, fifo_trigger_and_timeout);
	tcase_add_test(t, nothing_is_lost);
	tcase_add_test(t, priorities);
	tcase_add_test(t, modem_status);
	tcase_add_test(t, loopback_break);
	tcase_add_test(t, out2_gates_the_line);
	tcase_add_test(t, round_trip);
	suite_add_tcase(s, t);
	tcase_add_test(h, bad_specs);
	tcase_add_test(h, to_file);
	tcase_add_test(h, broken_pipe);
	tcase_add_test(h, stalled_pipe);
	tcase_add_test(h, pseudo_terminal);
	tcase_add_test(h, two_threads);
	suite_add_tcase(s, h);
	return suite_run(s);
}
