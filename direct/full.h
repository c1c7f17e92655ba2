/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The engine to compare the others with: KVM runs all of the guest, supervisor code too,
 * on the same devices, clock and memory. Between full_load() and full_store() the vCPU's
 * state is KVM's, and struct cpu is out of date but for halted, nmi_pending, CR8, IA32_APIC_BASE.
 */
#ifndef DIRECT_FULL_H
#define DIRECT_FULL_H

#include "machine/machine.h"

struct full;

/* What a run ended with; the guest's accesses to ports and devices are done. */
enum full_exit {
	FULL_IO, FULL_MMIO, FULL_HLT, FULL_WINDOW, FULL_KICK,
	FULL_SHUTDOWN,		/* triple fault */
	FULL_HOST,		/* host failure, already reported */
	FULL_EXITS
};

/* -errno and one line in why[] where this host's KVM cannot run supervisor code. */
int full_open(struct full **out, struct machine *m, char why[static 128]);
void full_close(struct full *f);
/* CPUID bits that the host's KVM offers a guest (reg: 0 EAX ... 3 EDX). */
uint32_t full_offers(struct full *f, uint32_t leaf, uint32_t sub, unsigned reg);
/* State in and out; 0 or -errno, reported. */
int full_load(struct full *f, const struct cpu *c);
int full_store(struct full *f, struct cpu *c);
/* One entry, with the interrupt that the controller has for it if it can be taken. */
enum full_exit full_run(struct full *f);
/* EFLAGS.IF at the last exit. */
bool full_interruptible(const struct full *f);
/* Any thread, any signal handler: full_run() returns soon, or at once. */
void full_kick(struct full *f);

#endif
