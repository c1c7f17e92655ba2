/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An NE2000 on PCI, of the RTL8029AS kind (Realtek's data sheet; National Semiconductor
 * DP8390D), for guests that are older than virtio. What becomes of a frame outside is the
 * cable's business (dev/net.h).
 *
 *	+0x00-0x0f  8390 registers, in pages that CR selects
 *	+0x10-0x17  data: the card's memory at the remote DMA's address
 *	+0x18-0x1f  a read resets
 *
 *	CR  7-6 page | 5-3 remote DMA: 4 none, 1 read, 2 write, 3 send | 2 transmit | 1 start | 0 stop
 *
 *	0x0000-0x001f  the station address as its EEPROM says it, each byte twice
 *	0x4000-0x7fff  RAM: frames to send, and from PSTART to PSTOP the ring of those received,
 *		in pages of 256 bytes, each frame after a header: status, next page, length
 *
 * A frame that the receive ring has no room for stays on the cable until there is, so that
 * nothing overflows.
 */
#include "dev/net.h"
#include "dev/pci.h"
#include "dev/table.h"
#include "machine/snapshot.h"

#include <errno.h>
#include <string.h>

#define NE2000_VERSION	1
#define SLOT		3
#define DATA		0x10
#define RESET		0x18
#define PORTS		0x20

#define CR_STOP		0x01
#define CR_START	0x02
#define CR_TRANSMIT	0x04
#define CR_READ		0x08
#define CR_WRITE	0x10
#define CR_NO_DMA	0x20
#define PAGE_OF(cr)	((cr) >> 6)

#define ISR_RECEIVED	0x01
#define ISR_SENT	0x02
#define ISR_DMA		0x40
#define ISR_RESET	0x80
#define ISR_CAUSES	0x7f
#define RCR_BROADCAST	0x04
#define RCR_MULTICAST	0x08
#define RCR_ALL		0x10
#define RCR_MONITOR	0x20
#define TCR_LOOPBACK	0x06
#define DCR_WORDS	0x01
#define RSR_GOOD	0x01
#define RSR_GROUP	0x20
#define TSR_GOOD	0x01

#define RAM_AT		0x4000u
#define RAM_SIZE	0x4000u
#define RING_PAGE	256u
#define RING_HEADER	4u
#define FCS		4u
#define FRAME_MAX	(NET_HEADER + NET_MTU + 4)

struct ne2000 {
	struct pci_function pci;
	struct net *net;		/* NULL: the machine has no such card */
	struct ne2000_regs {
		uint8_t cr, isr, imr, rcr, tcr, dcr, rsr, tsr;
		uint8_t pstart, pstop, bnry, curr, tpsr;
		uint8_t par[6], mar[8];
		uint16_t tbcr, rsar, rbcr;
	} r;
	uint8_t prom[32];
	uint8_t ram[RAM_SIZE];
};

static void line_update(struct ne2000 *n)
{
	pci_interrupt(&n->pci, n->r.isr & n->r.imr & ISR_CAUSES);
}

/* --- The card's memory ------------------------------------------------------------- */

static uint8_t byte_read(const struct ne2000 *n, uint16_t at)
{
	if (at < sizeof(n->prom))
		return n->prom[at];
	return at >= RAM_AT && at < RAM_AT + RAM_SIZE ? n->ram[at - RAM_AT] : 0xff;
}

static void byte_write(struct ne2000 *n, uint16_t at, uint8_t val)
{
	if (at >= RAM_AT && at < RAM_AT + RAM_SIZE)
		n->ram[at - RAM_AT] = val;
}

/* The address goes round in the receive ring (DP8390D, 7.0). */
static void dma_step(struct ne2000 *n, unsigned size)
{
	struct ne2000_regs *r = &n->r;

	r->rsar = (uint16_t)(r->rsar + size);
	if (r->rsar == r->pstop * RING_PAGE)
		r->rsar = (uint16_t)(r->pstart * RING_PAGE);
	r->rbcr = r->rbcr > size ? (uint16_t)(r->rbcr - size) : 0;
	if (!r->rbcr) {
		r->isr |= ISR_DMA;
		line_update(n);
	}
}

/* In word mode the data port moves two bytes even when one is asked for. */
static unsigned dma_size(const struct ne2000 *n, unsigned size)
{
	return size == 4 ? 4 : n->r.dcr & DCR_WORDS ? 2 : 1;
}

static uint32_t data_in(struct ne2000 *n, unsigned size)
{
	uint32_t val = 0;

	size = dma_size(n, size);
	if (!n->r.rbcr)
		return ~0u;
	for (unsigned i = 0; i < size; i++)
		val |= (uint32_t)byte_read(n, (uint16_t)(n->r.rsar + i)) << 8 * i;
	dma_step(n, size);
	return val;
}

static void data_out(struct ne2000 *n, uint32_t val, unsigned size)
{
	size = dma_size(n, size);
	if (!n->r.rbcr)
		return;
	for (unsigned i = 0; i < size; i++)
		byte_write(n, (uint16_t)(n->r.rsar + i), (uint8_t)(val >> 8 * i));
	dma_step(n, size);
}

/* --- Receiving ----------------------------------------------------------------------- */

/* The top six bits of the CRC of a group's address, which has its bits in the order of the wire. */
static unsigned group_hash(const uint8_t *address)
{
	uint32_t crc = ~0u;

	for (unsigned i = 0; i < 6; i++)
		for (unsigned bit = 0; bit < 8; bit++) {
			uint32_t carry = (crc >> 31) ^ (address[i] >> bit & 1);

			crc = crc << 1 ^ (carry ? 0x04c11db7 : 0);
		}
	return crc >> 26;
}

static bool wanted(const struct ne2000_regs *r, const uint8_t *frame)
{
	static const uint8_t everybody[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	unsigned hash;

	if (r->rcr & RCR_ALL)
		return true;
	if (memcmp(frame, everybody, 6) == 0)
		return r->rcr & RCR_BROADCAST;
	if (!(frame[0] & 1))
		return memcmp(frame, r->par, 6) == 0;
	hash = group_hash(frame);
	return r->rcr & RCR_MULTICAST && r->mar[hash >> 3] >> (hash & 7) & 1;
}

static bool ring_valid(const struct ne2000_regs *r)
{
	return r->pstart * RING_PAGE >= RAM_AT && r->pstop * RING_PAGE <= RAM_AT + RAM_SIZE &&
	       r->pstart < r->pstop && r->curr >= r->pstart && r->curr < r->pstop;
}

/* BNRY, the page that reception must not reach. Drivers that keep it a page before the frame that
 * they read next write PSTART - 1 where the ring's last page is meant. */
static unsigned ring_bound(const struct ne2000_regs *r)
{
	return r->bnry < r->pstart || r->bnry >= r->pstop ? r->pstop - 1u : r->bnry;
}

static unsigned ring_free(const struct ne2000_regs *r)
{
	unsigned size = r->pstop - r->pstart, bound = ring_bound(r);

	return bound == r->curr ? size - 1 : (bound + size - r->curr) % size - 1;
}

/* Linux looks at ten frames and then acknowledges them all; on a wire the next one would tell of
 * those left, here it may wait for room behind them. */
static bool unread(const struct ne2000_regs *r)
{
	unsigned bound = ring_bound(r), after = bound + 1u == r->pstop ? r->pstart : bound + 1u;

	return ring_valid(r) && r->curr != bound && r->curr != after;
}

static void ring_copy(struct ne2000 *n, unsigned *at, const uint8_t *from, size_t len)
{
	const struct ne2000_regs *r = &n->r;

	while (len) {
		size_t rest = r->pstop * RING_PAGE - *at, part = len < rest ? len : rest;

		memcpy(n->ram + *at - RAM_AT, from, part);
		from += part;
		len -= part;
		*at += (unsigned)part;
		if (*at == r->pstop * RING_PAGE)
			*at = r->pstart * RING_PAGE;
	}
}

/* False: no room until the guest has taken something out. */
static bool receive(struct ne2000 *n, const uint8_t *frame, size_t len)
{
	static const uint8_t padding[NET_FRAME_MIN];
	struct ne2000_regs *r = &n->r;
	size_t padded = len < NET_FRAME_MIN ? NET_FRAME_MIN : len;
	unsigned pages = (unsigned)(padded + RING_HEADER + FCS + RING_PAGE - 1) / RING_PAGE;
	unsigned at = r->curr * RING_PAGE, next = r->curr + pages;
	uint8_t header[RING_HEADER];

	if (len < 6 || padded > FRAME_MAX || !wanted(r, frame) || !ring_valid(r) ||
	    pages > (unsigned)(r->pstop - r->pstart - 1))
		return true;
	if (pages > ring_free(r))
		return false;
	if (next >= r->pstop)
		next -= r->pstop - r->pstart;
	r->rsr = RSR_GOOD | (frame[0] & 1 ? RSR_GROUP : 0);
	header[0] = r->rsr;
	header[1] = (uint8_t)next;
	header[2] = (uint8_t)(padded + FCS);
	header[3] = (uint8_t)((padded + FCS) >> 8);
	ring_copy(n, &at, header, sizeof(header));
	ring_copy(n, &at, frame, len);
	ring_copy(n, &at, padding, padded - len);
	r->curr = (uint8_t)next;
	r->isr |= ISR_RECEIVED;
	return true;
}

static bool listening(const struct ne2000_regs *r)
{
	return !(r->cr & CR_STOP) && !(r->rcr & RCR_MONITOR) &&
	       !(r->tcr & TCR_LOOPBACK);
}

/* What is on the cable while the card is not listening is lost, as it always was. */
static void receive_all(struct ne2000 *n)
{
	const uint8_t *frame;
	size_t len;

	while ((frame = net_peek(n->net, &len))) {
		if (listening(&n->r) && !receive(n, frame, len))
			break;
		net_next(n->net);
	}
	line_update(n);
}

/* --- Sending ------------------------------------------------------------------------- */

static bool sendable(const struct ne2000_regs *r)
{
	unsigned at = r->tpsr * RING_PAGE;

	return !(r->tcr & TCR_LOOPBACK) && r->tbcr >= NET_HEADER && r->tbcr <= FRAME_MAX &&
	       at >= RAM_AT && at + r->tbcr <= RAM_AT + RAM_SIZE;
}

/* While the cable is full the frame is still being sent. */
static void transmit(struct ne2000 *n)
{
	struct ne2000_regs *r = &n->r;

	if (sendable(r)) {
		uint8_t *to = net_room(n->net, r->tbcr);

		if (!to)
			return;
		memcpy(to, n->ram + r->tpsr * RING_PAGE - RAM_AT, r->tbcr);
		net_put(n->net, r->tbcr);
		net_flush(n->net);
	}
	r->cr &= (uint8_t)~CR_TRANSMIT;
	r->tsr = TSR_GOOD;
	r->isr |= ISR_SENT;
	line_update(n);
}

static void ne2000_ready(void *arg)
{
	struct ne2000 *n = arg;

	if (n->r.cr & CR_TRANSMIT && !(n->r.cr & CR_STOP))
		transmit(n);
	receive_all(n);
}

/* --- Registers ----------------------------------------------------------------------- */

static void command(struct ne2000 *n, uint8_t val)
{
	struct ne2000_regs *r = &n->r;

	/* With neither bit it goes on as it was: drivers write so to change pages. */
	if (!(val & (CR_STOP | CR_START)))
		val |= r->cr & (CR_STOP | CR_START);
	r->cr = val;
	if (val & CR_STOP) {
		r->isr |= ISR_RESET;
		return;
	}
	r->isr &= (uint8_t)~ISR_RESET;
	if (val & (CR_READ | CR_WRITE) && !(val & CR_NO_DMA) && !r->rbcr) {
		r->isr |= ISR_DMA;
		line_update(n);
	}
	if (val & CR_TRANSMIT)
		transmit(n);
	receive_all(n);
}

static uint8_t page0_in(const struct ne2000_regs *r, unsigned reg)
{
	switch (reg) {
	case 0x1: case 0x8: return (uint8_t)r->rsar;
	case 0x2: case 0x9: return (uint8_t)(r->rsar >> 8);
	case 0x3: return r->bnry;
	case 0x4: return r->tsr;
	case 0x7: return r->isr;
	case 0xa: return 'P';		/* which tells an RTL8029 from others */
	case 0xb: return 'C';
	case 0xc: return r->rsr;
	default: return 0;		/* no collisions, nothing was missed */
	}
}

static void half(uint16_t *reg, bool high, uint8_t val)
{
	*reg = high ? (uint16_t)((*reg & 0x00ff) | val << 8) : (uint16_t)((*reg & 0xff00) | val);
}

static void page0_out(struct ne2000 *n, unsigned reg, uint8_t val)
{
	struct ne2000_regs *r = &n->r;

	switch (reg) {
	case 0x1: r->pstart = val; break;
	case 0x2: r->pstop = val; break;
	case 0x3:
		r->bnry = val;
		receive_all(n);
		break;
	case 0x4: r->tpsr = val; break;
	case 0x5: case 0x6: half(&r->tbcr, reg == 0x6, val); break;
	case 0x7:			/* the reset bit follows the state */
		r->isr &= (uint8_t)~(val & ISR_CAUSES);
		if (unread(r))
			r->isr |= ISR_RECEIVED;
		line_update(n);
		break;
	case 0x8: case 0x9: half(&r->rsar, reg == 0x9, val); break;
	case 0xa: case 0xb: half(&r->rbcr, reg == 0xb, val); break;
	case 0xc:
		r->rcr = val;
		receive_all(n);
		break;
	case 0xd: r->tcr = val; break;
	case 0xe: r->dcr = val; break;
	case 0xf:
		r->imr = val;
		line_update(n);
		break;
	}
}

static uint8_t page2_in(const struct ne2000_regs *r, unsigned reg)
{
	switch (reg) {
	case 0x1: return r->pstart;
	case 0x2: return r->pstop;
	case 0x4: return r->tpsr;
	case 0xc: return r->rcr;
	case 0xd: return r->tcr;
	case 0xe: return r->dcr;
	case 0xf: return r->imr;
	default: return 0;
	}
}

static uint8_t register_in(const struct ne2000 *n, unsigned reg)
{
	const struct ne2000_regs *r = &n->r;

	if (reg == 0)
		return r->cr;
	switch (PAGE_OF(r->cr)) {
	case 0: return page0_in(r, reg);
	case 1: return reg <= 6 ? r->par[reg - 1] : reg == 7 ? r->curr : r->mar[reg - 8];
	case 2: return page2_in(r, reg);
	/* Realtek's own page: an RTL8029 on twisted pair. */
	default: return reg == 0xe ? 0x29 : reg == 0xf ? 0x80 : 0;
	}
}

static void register_out(struct ne2000 *n, unsigned reg, uint8_t val)
{
	struct ne2000_regs *r = &n->r;

	if (reg == 0)
		command(n, val);
	else if (PAGE_OF(r->cr) == 0)
		page0_out(n, reg, val);
	else if (PAGE_OF(r->cr) == 1 && reg <= 6)
		r->par[reg - 1] = val;
	else if (PAGE_OF(r->cr) == 1 && reg == 7)
		r->curr = val;
	else if (PAGE_OF(r->cr) == 1)
		r->mar[reg - 8] = val;
}

static void chip_reset(struct ne2000 *n)
{
	n->r = (struct ne2000_regs){ .cr = CR_STOP | CR_NO_DMA, .isr = ISR_RESET };
	memcpy(n->r.par, n->pci.m->config->net.mac, 6);
	line_update(n);
}

static uint32_t ne2000_in(void *dev, uint16_t port, unsigned size)
{
	struct ne2000 *n = dev;
	unsigned off = port & (PORTS - 1);
	uint32_t val = 0;

	if (off >= RESET) {
		chip_reset(n);
		return 0;
	}
	if (off >= DATA)
		return data_in(n, size);
	for (unsigned i = 0; i < size && off + i < DATA; i++)
		val |= (uint32_t)register_in(n, off + i) << 8 * i;
	return val;
}

static void ne2000_out(void *dev, uint16_t port, uint32_t val, unsigned size)
{
	struct ne2000 *n = dev;
	unsigned off = port & (PORTS - 1);

	if (off >= RESET)
		return;			/* ends a reset, which has ended already */
	if (off >= DATA) {
		data_out(n, val, size);
		return;
	}
	for (unsigned i = 0; i < size && off + i < DATA; i++)
		register_out(n, off + i, (uint8_t)(val >> 8 * i));
}

/* --- Life ---------------------------------------------------------------------------- */

static void prom_fill(struct ne2000 *n, const uint8_t mac[static 6])
{
	for (unsigned i = 0; i < 6; i++)
		n->prom[2 * i] = n->prom[2 * i + 1] = mac[i];
	memset(n->prom + 28, 'W', 4);	/* a card of 16 bits */
}

static int ne2000_init(void *dev, struct machine *m)
{
	struct ne2000 *n = dev;

	if (!m->net || m->config->net.model != NIC_NE2K_PCI)
		return 0;
	n->net = m->net;
	prom_fill(n, m->config->net.mac);
	pci_identify(&n->pci, 0x10ec, 0x8029, 0x020000, 0);
	pci_put32(&n->pci, PCI_SUBSYSTEM, 0x802910ec);
	n->pci.config[PCI_PIN] = 1;
	pci_bar_io(&n->pci, 0, PORTS, 4, &ne2000_device, n);
	pci_add(m, SLOT, 0, &n->pci);
	net_attach(n->net, ne2000_ready, n);
	return 0;
}

static void ne2000_reset(void *dev)
{
	struct ne2000 *n = dev;

	if (!n->net)
		return;
	pci_reset(&n->pci);
	chip_reset(n);
	memset(n->ram, 0, sizeof(n->ram));
	receive_all(n);
}

/* Each register in one order for both ways. */
static void regs_each(struct ne2000_regs *r, struct state *s,
		      void (*each)(struct state *s, void *p, size_t n))
{
	each(s, &r->cr, 1);
	each(s, &r->isr, 1);
	each(s, &r->imr, 1);
	each(s, &r->rcr, 1);
	each(s, &r->tcr, 1);
	each(s, &r->dcr, 1);
	each(s, &r->rsr, 1);
	each(s, &r->tsr, 1);
	each(s, &r->pstart, 1);
	each(s, &r->pstop, 1);
	each(s, &r->bnry, 1);
	each(s, &r->curr, 1);
	each(s, &r->tpsr, 1);
	each(s, r->par, sizeof(r->par));
	each(s, r->mar, sizeof(r->mar));
	each(s, &r->tbcr, 2);
	each(s, &r->rsar, 2);
	each(s, &r->rbcr, 2);
}

static void put(struct state *s, void *p, size_t n)
{
	state_put(s, p, n);
}

static void ne2000_save(void *dev, struct state *s)
{
	struct ne2000 *n = dev;

	if (!n->net)
		return;
	state_begin(s, ne2000_device.name, NE2000_VERSION);
	pci_save(&n->pci, s);
	regs_each(&n->r, s, put);
	state_put(s, n->ram, sizeof(n->ram));
}

static int ne2000_restore(void *dev, struct state *s)
{
	struct ne2000 *n = dev;
	struct ne2000_regs r;
	uint8_t ram[RAM_SIZE];

	if (!n->net)
		return 0;
	if (state_enter(s, ne2000_device.name) != NE2000_VERSION)
		return -EINVAL;
	pci_restore(&n->pci, s);
	regs_each(&r, s, state_get);
	state_get(s, ram, sizeof(ram));
	if (s->bad)
		return -EINVAL;
	n->r = r;
	memcpy(n->ram, ram, sizeof(ram));
	line_update(n);
	return 0;
}

static void ne2000_fini(void *dev)
{
	struct ne2000 *n = dev;

	if (!n->net)
		return;
	net_attach(n->net, NULL, NULL);
	pci_remove(&n->pci);
}

const struct device_ops ne2000_device = {
	.name = "ne2000", .state_size = sizeof(struct ne2000),
	.init = ne2000_init, .reset = ne2000_reset, .in = ne2000_in, .out = ne2000_out,
	.save = ne2000_save, .restore = ne2000_restore, .fini = ne2000_fini,
};
