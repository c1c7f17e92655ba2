/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * COM1: a PC16550D at 0x3f8 (National Semiconductor data sheet) on IRQ 4. The
 * transmitter is infinitely fast: a byte written is a byte sent, so THRE and TEMT
 * are always set, and THRE's interrupt comes back after each write. Input is taken
 * from the host only when the receiver has room; nothing is lost to overrun but
 * what the guest sends itself in loopback.
 *
 * Output reaches the host at a newline, when the guest polls for something else
 * than room to write, or FLUSH_NS after the first byte.
 */
#include "dev/chardev.h"
#include "dev/table.h"
#include "machine/machine.h"
#include "machine/snapshot.h"

#include <errno.h>

#define UART_VERSION	2
#define PORT		0x3f8
#define LINE		4
#define FIFO_SIZE	16
#define CLOCK_HZ	115200		/* 1.8432 MHz / 16: the rate of divisor 1 */
#define FLUSH_NS	2000000
#define FLUSH_POLLS	8		/* LSR reads with nothing sent between them */

enum { RBR_THR, IER, IIR_FCR, LCR, MCR, LSR, MSR, SCR };

#define IER_RDA		0x01
#define IER_THRE	0x02
#define IER_RLS		0x04
#define IER_MS		0x08

/* IIR: bit 0 clear = an interrupt is pending; in order of priority. */
#define IIR_NONE	0x01
#define IIR_RLS		0x06
#define IIR_RDA		0x04
#define IIR_TIMEOUT	0x0c
#define IIR_THRE	0x02
#define IIR_MS		0x00
#define IIR_FIFOS	0xc0

#define FCR_ENABLE	0x01
#define FCR_CLEAR_RX	0x02

#define LCR_BREAK	0x40
#define LCR_DLAB	0x80

#define MCR_DTR		0x01
#define MCR_RTS		0x02
#define MCR_OUT1	0x04
#define MCR_OUT2	0x08		/* on a PC: lets the interrupt through */
#define MCR_LOOP	0x10

#define LSR_DR		0x01
#define LSR_OE		0x02
#define LSR_BI		0x10
#define LSR_ERRORS	0x1e
#define LSR_THRE	0x20
#define LSR_TEMT	0x40
#define LSR_FIFO_ERROR	0x80

#define MSR_DELTAS	0x0f
#define MSR_TERI	0x04
#define MSR_CTS		0x10
#define MSR_DSR		0x20
#define MSR_RI		0x40
#define MSR_DCD		0x80

struct uart {
	struct machine *m;
	struct timer rx_timer;		/* receive time-out */
	struct timer flush_timer;
	uint8_t ier, lcr, mcr, scr, fcr;
	uint8_t lsr;			/* error bits only; the others follow from state */
	uint8_t msr;
	uint16_t divisor;
	bool thre_pending;		/* THR became empty and nobody has heard */
	bool timed_out;			/* characters wait below the trigger level */
	uint8_t rx[FIFO_SIZE];
	bool rx_break[FIFO_SIZE];	/* with its character goes BI */
	uint8_t rx_head, rx_count;
	uint8_t polls;
};

static bool uart_fifos(const struct uart *u)
{
	return u->fcr & FCR_ENABLE;
}

static unsigned rx_capacity(const struct uart *u)
{
	return uart_fifos(u) ? FIFO_SIZE : 1;
}

static unsigned rx_trigger(const struct uart *u)
{
	static const uint8_t levels[] = { 1, 4, 8, 14 };

	return uart_fifos(u) ? levels[u->fcr >> 6] : 1;
}

/* Four character times without a read or an arrival, in ns. */
static int64_t rx_timeout_ns(const struct uart *u)
{
	int64_t bits = 1 + 5 + (u->lcr & 3) + (u->lcr >> 3 & 1) + 1 + (u->lcr >> 2 & 1);
	int64_t divisor = u->divisor ? u->divisor : 1;

	return 4 * bits * divisor * 1000000000ll / CLOCK_HZ;
}

/* The interrupt of the highest priority, as IIR shows it. */
static uint8_t uart_cause(const struct uart *u)
{
	if (u->ier & IER_RLS && u->lsr & LSR_ERRORS)
		return IIR_RLS;
	if (u->ier & IER_RDA && u->rx_count >= rx_trigger(u))
		return IIR_RDA;
	if (u->ier & IER_RDA && u->timed_out)
		return IIR_TIMEOUT;
	if (u->ier & IER_THRE && u->thre_pending)
		return IIR_THRE;
	if (u->ier & IER_MS && u->msr & MSR_DELTAS)
		return IIR_MS;
	return IIR_NONE;
}

/* In loopback the OUT2 pin is inactive, whatever the bit says. */
static void uart_update(struct uart *u)
{
	bool through = (u->mcr & (MCR_OUT2 | MCR_LOOP)) == MCR_OUT2;

	irq_set(u->m, LINE, through && uart_cause(u) != IIR_NONE);
}

/* --- Receiver ----------------------------------------------------------------- */

static void rx_watch(struct uart *u)
{
	u->timed_out = false;
	if (uart_fifos(u) && u->rx_count)
		clock_arm(&u->m->clock, &u->rx_timer,
			  clock_now(&u->m->clock) + rx_timeout_ns(u));
	else
		clock_disarm(&u->m->clock, &u->rx_timer);
}

/* A break reaches LSR with its character at the top of the FIFO. */
static void rx_top(struct uart *u)
{
	if (u->rx_count && u->rx_break[u->rx_head]) {
		u->rx_break[u->rx_head] = false;
		u->lsr |= LSR_BI;
	}
}

/* A full FIFO keeps what it has; without FIFOs the character is overwritten. */
static void rx_push(struct uart *u, uint8_t byte, bool is_break)
{
	unsigned at;

	if (u->rx_count == rx_capacity(u)) {
		u->lsr |= LSR_OE;
		if (uart_fifos(u))
			return;
		u->rx_count = 0;
	}
	at = (u->rx_head + u->rx_count) % FIFO_SIZE;
	u->rx[at] = byte;
	u->rx_break[at] = is_break;
	u->rx_count++;
	rx_top(u);
	rx_watch(u);
}

static void rx_clear(struct uart *u)
{
	u->rx_head = u->rx_count = 0;
	rx_watch(u);
}

/* Takes input while there is room; called when either may have changed. */
static void uart_receive(void *arg)
{
	struct uart *u = arg;
	uint8_t byte;

	if (u->mcr & MCR_LOOP)
		return;
	while (u->rx_count < rx_capacity(u) && chardev_get(u->m->console, &byte))
		rx_push(u, byte, false);
	uart_update(u);
}

static uint8_t rx_read(struct uart *u)
{
	uint8_t byte = u->rx[u->rx_head];

	if (!u->rx_count)
		return byte;
	u->rx_head = (u->rx_head + 1) % FIFO_SIZE;
	u->rx_count--;
	rx_top(u);
	rx_watch(u);
	uart_receive(u);
	return byte;
}

static void rx_fire(void *arg, int64_t now)
{
	struct uart *u = arg;

	(void)now;
	u->timed_out = u->rx_count;
	uart_update(u);
}

/* --- Transmitter --------------------------------------------------------------- */

static void flush_fire(void *arg, int64_t now)
{
	struct uart *u = arg;

	(void)now;
	chardev_flush(u->m->console);
}

static void tx_write(struct uart *u, uint8_t byte)
{
	struct chardev *c = u->m->console;

	if (u->mcr & MCR_LOOP) {
		rx_push(u, byte, false);
	} else {
		bool first = !chardev_unflushed(c);

		chardev_write(c, &byte, 1);
		if (first && chardev_unflushed(c))
			clock_arm(&u->m->clock, &u->flush_timer,
				  clock_now(&u->m->clock) + FLUSH_NS);
	}
	u->polls = 0;
	u->thre_pending = true;
}

/* --- Modem control ---------------------------------------------------------------- */

/* Inputs: a host that is always ready, or in loopback our own outputs. */
static uint8_t msr_inputs(const struct uart *u)
{
	if (!(u->mcr & MCR_LOOP))
		return MSR_CTS | MSR_DSR | MSR_DCD;
	return (u->mcr & MCR_RTS ? MSR_CTS : 0) | (u->mcr & MCR_DTR ? MSR_DSR : 0) |
	       (u->mcr & MCR_OUT1 ? MSR_RI : 0) | (u->mcr & MCR_OUT2 ? MSR_DCD : 0);
}

/* Deltas sit four bits below their inputs; RI counts only when it falls. */
static void msr_update(struct uart *u)
{
	uint8_t in = msr_inputs(u), old = u->msr & 0xf0;
	uint8_t deltas = (in ^ old) >> 4;

	if (!(old & MSR_RI && !(in & MSR_RI)))
		deltas &= ~MSR_TERI;
	u->msr = in | (u->msr & MSR_DELTAS) | deltas;
}

/* --- Registers --------------------------------------------------------------------- */

static uint8_t lsr_read(struct uart *u)
{
	uint8_t val = u->lsr | LSR_THRE | LSR_TEMT | (u->rx_count ? LSR_DR : 0);

	if (uart_fifos(u)) {
		for (unsigned i = 0; i < u->rx_count; i++)
			if (u->rx_break[(u->rx_head + i) % FIFO_SIZE])
				val |= LSR_FIFO_ERROR;
		if (u->lsr & LSR_BI)
			val |= LSR_FIFO_ERROR;
	}
	u->lsr = 0;
	if (u->polls < FLUSH_POLLS && ++u->polls == FLUSH_POLLS)
		chardev_flush(u->m->console);
	return val;
}

static uint8_t iir_read(struct uart *u)
{
	uint8_t cause = uart_cause(u);

	if (cause == IIR_THRE)
		u->thre_pending = false;
	return cause | (uart_fifos(u) ? IIR_FIFOS : 0);
}

/* Enabling THRE's interrupt while THR is empty raises it at once: drivers start
 * sending that way, and some test for it. */
static void ier_write(struct uart *u, uint8_t val)
{
	if (val & ~u->ier & IER_THRE)
		u->thre_pending = true;
	u->ier = val & 0x0f;
}

static void fcr_write(struct uart *u, uint8_t val)
{
	if ((val ^ u->fcr) & FCR_ENABLE)
		rx_clear(u);
	if (!(val & FCR_ENABLE)) {
		u->fcr = 0;
		return;
	}
	if (val & FCR_CLEAR_RX)
		rx_clear(u);
	u->fcr = val & 0xc9;
}

static void lcr_write(struct uart *u, uint8_t val)
{
	bool breaks = val & ~u->lcr & LCR_BREAK;

	u->lcr = val;
	if (breaks && u->mcr & MCR_LOOP)
		rx_push(u, 0, true);
}

static uint32_t uart_in(void *dev, uint16_t port, unsigned size)
{
	struct uart *u = dev;
	bool dlab = u->lcr & LCR_DLAB;
	uint8_t val;

	(void)size;
	switch (port & 7) {
	case RBR_THR:
		val = dlab ? (uint8_t)u->divisor : rx_read(u);
		break;
	case IER:
		return dlab ? u->divisor >> 8 : u->ier;
	case IIR_FCR:
		val = iir_read(u);
		break;
	case LCR:
		return u->lcr;
	case MCR:
		return u->mcr;
	case LSR:
		val = lsr_read(u);
		break;
	case MSR:
		val = u->msr;
		u->msr &= ~MSR_DELTAS;
		break;
	default:
		return u->scr;
	}
	uart_update(u);
	return val;
}

static void uart_out(void *dev, uint16_t port, uint32_t wide, unsigned size)
{
	struct uart *u = dev;
	bool dlab = u->lcr & LCR_DLAB;
	uint8_t val = (uint8_t)wide;

	(void)size;
	switch (port & 7) {
	case RBR_THR:
		if (dlab)
			u->divisor = (u->divisor & 0xff00) | val;
		else
			tx_write(u, val);
		break;
	case IER:
		if (dlab)
			u->divisor = (uint16_t)((u->divisor & 0xff) | val << 8);
		else
			ier_write(u, val);
		break;
	case IIR_FCR:
		fcr_write(u, val);
		break;
	case LCR:
		lcr_write(u, val);
		break;
	case MCR:
		u->mcr = val & 0x1f;
		msr_update(u);
		break;
	case SCR:
		u->scr = val;
		break;
	}
	uart_receive(u);	/* room, or the end of loopback */
	uart_update(u);
}

/* --- Life ------------------------------------------------------------------------ */

static int uart_init(void *dev, struct machine *m)
{
	struct uart *u = dev;

	u->m = m;
	u->rx_timer = (struct timer){ .fire = rx_fire, .arg = u, .name = "uart-rx" };
	u->flush_timer = (struct timer){ .fire = flush_fire, .arg = u, .name = "uart-flush" };
	clock_add(&m->clock, &u->rx_timer);
	clock_add(&m->clock, &u->flush_timer);
	chardev_set_receiver(m->console, uart_receive, u);
	bus_claim(m->bus, PORT, 8, 1, &uart_device, u);
	return 0;
}

static void uart_fini(void *dev)
{
	struct uart *u = dev;

	chardev_flush(u->m->console);
	chardev_set_receiver(u->m->console, NULL, NULL);
	clock_remove(&u->m->clock, &u->rx_timer);
	clock_remove(&u->m->clock, &u->flush_timer);
}

/* Master reset (data sheet, table 1); divisor and scratch keep what they had. */
static void uart_reset(void *dev)
{
	struct uart *u = dev;

	u->ier = u->lcr = u->mcr = u->fcr = u->lsr = 0;
	u->msr = MSR_CTS | MSR_DSR | MSR_DCD;
	u->thre_pending = false;
	u->polls = 0;
	rx_clear(u);
	uart_update(u);
}

static void uart_save(void *dev, struct state *s)
{
	struct uart *u = dev;
	uint8_t b[] = { u->ier, u->lcr, u->mcr, u->scr, u->fcr, u->lsr, u->msr,
			(uint8_t)u->divisor, (uint8_t)(u->divisor >> 8), u->thre_pending,
			u->timed_out, u->rx_count, u->rx_head };

	chardev_flush(u->m->console);
	state_begin(s, uart_device.name, UART_VERSION);
	state_put(s, b, sizeof(b));
	for (unsigned i = 0; i < FIFO_SIZE; i++) {
		uint8_t c[] = { u->rx[i], u->rx_break[i] };

		state_put(s, c, sizeof(c));
	}
	state_put_u64(s, (uint64_t)u->rx_timer.when);
	chardev_save_input(u->m->console, s);
}

static int uart_restore(void *dev, struct state *s)
{
	struct uart *u = dev;
	uint64_t when;
	uint8_t b[13];

	if (state_enter(s, uart_device.name) != UART_VERSION)
		return -EINVAL;
	state_get(s, b, sizeof(b));
	u->ier = b[0] & 0x0f;
	u->lcr = b[1];
	u->mcr = b[2] & 0x1f;
	u->scr = b[3];
	u->fcr = b[4] & 0xc9;
	u->lsr = b[5] & LSR_ERRORS;
	u->msr = b[6];
	u->divisor = (uint16_t)(b[7] | b[8] << 8);
	u->thre_pending = b[9];
	u->rx_head = b[12] % FIFO_SIZE;
	u->rx_count = b[11] <= rx_capacity(u) ? b[11] : 0;
	for (unsigned i = 0; i < FIFO_SIZE; i++) {
		uint8_t c[2];

		state_get(s, c, sizeof(c));
		u->rx[i] = c[0];
		u->rx_break[i] = c[1];
	}
	rx_watch(u);
	u->timed_out = b[10] && u->rx_count;
	when = state_get_u64(s);
	if (u->timed_out)
		clock_disarm(&u->m->clock, &u->rx_timer);
	else if (u->rx_timer.when != INT64_MAX && when < (uint64_t)u->rx_timer.when)
		clock_arm(&u->m->clock, &u->rx_timer, (int64_t)when);
	chardev_restore_input(u->m->console, s);
	uart_update(u);
	return s->bad ? -EINVAL : 0;
}

const struct device_ops uart_device = {
	.name = "uart", .state_size = sizeof(struct uart),
	.init = uart_init, .reset = uart_reset, .in = uart_in, .out = uart_out,
	.save = uart_save, .restore = uart_restore, .fini = uart_fini,
};
