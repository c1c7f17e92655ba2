/* SPDX-License-Identifier: BSD-2-Clause */
/* The machine: everything the engines and devices share, tied together. */
#ifndef MACHINE_MACHINE_H
#define MACHINE_MACHINE_H

#include <stdatomic.h>

#include "machine/bus.h"
#include "machine/clock.h"
#include "machine/config.h"
#include "machine/cpu.h"
#include "machine/irq.h"
#include "machine/memory.h"

/* Why the guest is not running (any more). */
enum power {
	POWER_ON,
	POWER_OFF,		/* halted for good, or powered off */
	POWER_RESET,		/* reset requested: 8042, port 0x92, 0xcf9 */
	POWER_TRIPLE,		/* triple fault */
	POWER_DEBUG_EXIT,	/* isa-debug-exit; code in debug_exit_code */
	POWER_TIMEOUT,
	POWER_QUIT,		/* the user (Ctrl-A x) or a signal; signal number in quit_signal */
	POWER_SAVED,		/* the machine is in a state file, and was to end with that */
	POWER_DIFFERENCE,	/* --lockstep found one, already reported */
	POWER_HOST_FAILURE,	/* a host call failed, already reported */
};

struct chardev;	/* dev/chardev.h: the host side of a serial port */
struct disk;	/* dev/disk.h: an image file */
struct pci_bus;	/* dev/pci.h */
struct net;	/* dev/net.h: the cable of the network interface */
struct isa_dma;	/* dev/isa_dma.h */
struct vga;	/* dev/vga.h */
struct input;	/* dev/input.h */
struct drive;	/* dev/drive.h: one whose medium can be exchanged */

/* Where media are: two on each IDE cable, then the floppy drives. */
#define MACHINE_DISKS	4
#define MACHINE_FLOPPIES 2

struct machine {
	struct cpu *cpu;		/* embedded in the interpreter's state */
	struct memory mem;
	struct bus *bus;
	struct clock clock;
	struct irq_controller irqc;	/* the 8259s */
	struct irq_controller ioapic;	/* set_line only; or nothing */
	struct local_apic apic;		/* or nothing */
	uint16_t isa_lines, pci_lines;	/* what irq_set() and irq_set_pci() said last */
	bool pic_intr;			/* the INTR output of the 8259s */
	bool intr;			/* an interrupt that the CPU may acknowledge (irq.h) */
	bool a20;			/* always behaves as enabled; remembered for readers */

	/* CPUID as 64-bit user code of the guest sees it: EAX, EBX, ECX, EDX. Set by the interpreter. */
	void (*cpuid)(void *self, uint32_t leaf, uint32_t sub, uint32_t out[4]);
	void *cpuid_self;

	const struct config *config;
	struct chardev *console;	/* may be NULL; set before machine_add_devices() */
	/* Likewise. Primary master and slave, secondary master and slave. */
	struct disk *disks[MACHINE_DISKS];
	bool disk_is_cd[MACHINE_DISKS];
	struct disk *floppies[MACHINE_FLOPPIES];
	struct disk *virtio_disks[MACHINE_DISKS];
	struct net *net;		/* likewise; NULL: no network interface */
	int debugcon;			/* host file of the firmware's debug port, or -1 */
	struct pci_bus *pci;		/* set by the bus, before devices that are on it */
	struct isa_dma *isa_dma;	/* likewise */
	struct vga *vga;		/* set by the adapter, if the machine has one */
	struct input *input;		/* what the user does; set by the keyboard controller */
	void (*look)(void *arg);	/* ATT_LOOK: somebody wants to see the screen; or NULL */
	void *look_arg;
	void (*control)(void *arg);	/* ATT_CONTROL: somebody wants something done; or NULL */
	void *control_arg;
	struct drive *drives;		/* a list; each is set up by its device */
	/* The button on the case; does the guest listen to it? Set by its device, or NULL. */
	bool (*power_button)(void *self);
	void *power_button_self;
	void (*save)(void *arg);	/* ATT_SAVE: somebody wants a state file; or NULL */
	void *save_arg;
	uint64_t *random;		/* of the guest's RDRAND, the interpreter's; or NULL */
	void (*report)(void *arg);	/* ATT_STATS: what the run has cost so far; or NULL */
	void *report_arg;
	const uint8_t *vga_rom;		/* its BIOS or NULL; set before machine_add_devices() */
	size_t vga_rom_size;

	enum power power;		/* vCPU thread only */
	uint32_t debug_exit_code;
	int quit_signal;
	bool stopped;			/* the guest is not run, its time stands still; vCPU thread only */
	uint64_t stopped_tsc;		/* the host's TSC when it was stopped; 0: it has not run since */

	/* Set by any thread to make the vCPU leave its engine soon; what for is in
	 * the request bits. The setter also calls machine_kick(). */
	atomic_uint attention;
	void (*kick)(void *arg);	/* interrupts the engine that is running; any thread */
	void *kick_arg;

	struct device_slot { const struct device_ops *ops; void *dev; } devices[32];
	unsigned ndevices;
};

enum attention {
	ATT_INPUT   = 1,	/* host input waits for a device (chardev, input, net) */
	ATT_QUIT    = 2,
	ATT_TIMEOUT = 4,
	ATT_TIMER   = 8,	/* look at the clock */
	ATT_STATS   = 16,
	ATT_LOOK    = 32,
	ATT_CONTROL = 128,
	ATT_SAVE    = 64,
};

/* The processor has written cpu->msr_apic_base, cpu->cr8. */
static inline void irq_apic_base_written(struct machine *m)
{
	if (m->apic.self)
		m->apic.base_written(m->apic.self);
}
static inline void irq_tpr_written(struct machine *m)
{
	if (m->apic.self)
		m->apic.tpr_written(m->apic.self);
}

/* Any thread: ask for attention and get the vCPU out of its engine. */
void machine_request(struct machine *m, unsigned bits);

/* RAM and buses of an empty machine; cfg stays the caller's and must outlive it. 0 or -errno. The
 * processor comes from interp_create(). */
int machine_create(struct machine *m, const struct config *cfg);
void machine_destroy(struct machine *m);
/* Creates every device of the table dev/table.c. 0, or -errno and none of them is there. */
int machine_add_devices(struct machine *m, const struct device_ops *const *table);
void machine_reset(struct machine *m);	/* CPU, devices, page flags stay */
void machine_reset_cpu(struct machine *m);	/* m->cpu alone */

/* vCPU thread: the guest is not run until it goes on; to it, no time passes (machine/pause.c). */
void machine_stop(struct machine *m);
void machine_cont(struct machine *m);

/* Everything but RAM, which is to be in place before a restore. After it the caller flushes
 * what engines derived; a machine whose restore failed (-EINVAL) must be reset. */
struct state;
void machine_save(struct machine *m, struct state *s);
int machine_restore(struct machine *m, struct state *s);

#endif
