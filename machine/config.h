/* SPDX-License-Identifier: BSD-2-Clause */
/* What the user asked for: filled by cli/, read by everybody, changed by nobody. */
#ifndef MACHINE_CONFIG_H
#define MACHINE_CONFIG_H

#include "machine/types.h"

enum engine { ENGINE_HYBRID, ENGINE_INTERP, ENGINE_FULL };
enum direct_kind { DIRECT_AUTO, DIRECT_RING3, DIRECT_KVM };
/* --trace, in builds with --enable-trace: instructions, exceptions and interrupts,
 * crossings into and out of the direct engine, port accesses. */
enum trace_what { TRACE_INSN = 1, TRACE_EVENT = 2, TRACE_CROSS = 4, TRACE_IO = 8 };
enum vga_kind { VGA_NONE, VGA_STD };
enum display_kind { DISPLAY_NONE, DISPLAY_TERMINAL, DISPLAY_VNC };
enum gate_policy { GATE_ALWAYS, GATE_ADAPTIVE, GATE_NEVER };

/* --lockstep: user code on both engines, compared after each instruction. */
enum lockstep { LOCKSTEP_OFF, LOCKSTEP_STOP, LOCKSTEP_CONTINUE };

/* UNSAID is raw, unless the file looks like another one: then the user has to say which. */
enum image_format {
	FORMAT_UNSAID, FORMAT_RAW, FORMAT_AUTO, FORMAT_QCOW2, FORMAT_VMDK, FORMAT_VDI, FORMAT_VHD,
	FORMAT_VHDX,
};

/* An image file in a drive. */
struct config_disk {
	const char *file;
	enum image_format format;
	bool readonly;
	bool snapshot;			/* what the guest writes is forgotten at the end */
	bool empty;			/* a drive without a medium: no file */
	bool virtio;			/* a virtio-blk device of its own, not an IDE drive */
};
#define CONFIG_DISKS	4

/* The network interface and what the user-mode network at its other end lets through. */
enum nic_model { NIC_NONE, NIC_NE2K_PCI, NIC_VIRTIO };
struct config_forward {			/* addresses and ports as the host has numbers */
	bool udp;
	uint32_t host, guest;
	uint16_t host_port, guest_port;
};
#define CONFIG_FORWARDS	32
struct config_net {
	enum nic_model model;
	uint8_t mac[6];
	bool restricted;		/* nothing but the forwarded ports */
	unsigned nforwards;
	struct config_forward forwards[CONFIG_FORWARDS];
};

struct config {
	const char *kernel, *initrd, *append;
	const char *const *modules;	/* Multiboot modules, NULL-terminated, or NULL */
	const char *bios;		/* NULL: the packaged one; used if there is no kernel */
	const char *debugcon;		/* stderr, file:NAME, or NULL */
	enum vga_kind vga;
	const char *vgabios;		/* NULL: the packaged one, if there is one */
	const char *screenshot;		/* file for the last picture, or NULL */
	enum display_kind display;
	char vnc_address[64];
	uint16_t vnc_port;
	const char *control;		/* socket for programs that control the machine, or NULL */
	bool paused;			/* the machine starts stopped */
	const char *vnc_password;	/* a file that holds it, or NULL */
	struct config_disk disks[CONFIG_DISKS], cdrom, floppy;	/* file: NULL if there is none */
	struct config_net net;
	const char *boot_order;		/* letters a, c, d, or NULL */
	uint64_t memory;		/* bytes */
	enum engine engine;
	enum direct_kind direct;
	enum gate_policy gate;
	enum lockstep lockstep;
	const char *cpu_model;
	bool apic;			/* the CPU model has an APIC, and so has the machine */
	const char *serial;		/* stdio, file:P, pty, none */
	bool want_stats;
	const char *stats_file;		/* JSON there, or NULL: a table on stderr */
	double timeout;			/* seconds, 0 = none */
	const char *save;		/* state file to be written when asked to, or NULL */
	double save_after;		/* seconds of guest time, 0 = when asked to */
	bool kernel_unpack;		/* a packed Linux kernel is unpacked by the loader */
	bool debug_exit, strict, no_reboot, state_hash, clock_instructions, verbose;
	const char *trace_file;		/* of crossings, or NULL */
	unsigned trace;			/* bits of enum trace_what */
	uint64_t rtc_base;		/* --rtc: seconds since 1970, 0 = the host's clock */
};

#endif
