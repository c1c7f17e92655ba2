/* SPDX-License-Identifier: BSD-2-Clause */
/* The PC, part by part. The interrupt controllers come first: others drive lines; then
 * the PCI bus, which others are on. */
#include "dev/table.h"

const struct device_ops *const device_table[] = {
	&pic_device,		/* 0x20, 0xa0, 0x4d0	two 8259A */
	&lapic_device,		/* 0xfee00000		local APIC, if the CPU model has one */
	&ioapic_device,		/* 0xfec00000		I/O APIC, likewise */
	&pci_device,		/* 0xcf8-0xcff		PCI bus, reset control */
	&i440fx_device,		/* PCI 0.0		host bridge: PAM, SMRAM */
	&piix3_device,		/* PCI 1.0		ISA bridge: interrupt routing */
	&ide_device,		/* PCI 1.1, 0x1f0, 0x170, ...	two IDE cables */
	&piix4_pm_device,	/* PCI 1.3, 0xb2, 0xafe0	power management, ACPI */
	&vga_device,		/* PCI 2.0, 0x3b4-0x3da, 0x1ce-0x1d0	display */
	&pit_device,		/* 0x40-0x43, 0x61	8254, speaker gate */
	&rtc_device,		/* 0x70-0x71		MC146818 and CMOS memory */
	&i8042_device,		/* 0x60, 0x64		keyboard controller */
	&uart_device,		/* 0x3f8-0x3ff		PC16550D: COM1 */
	&port92_device,		/* 0x92			fast A20 and reset */
	&post_device,		/* 0x80-0x8f, 0xf0-0xf1	POST code, spare page latches, FERR latch */
	&isa_dma_device,	/* 0x00-0x0f, 0xc0-0xdf, 0x81-0x8f	two 8237A, pages */
	&fdc_device,		/* 0x3f0-0x3f5, 0x3f7	82077, if a floppy drive has an image */
	&debugport_device,	/* 0xe9			Bochs' debug console */
	&debug_exit_device,	/* 0xf4			isa-debug-exit, if asked for */
	&fw_cfg_device,		/* 0x510-0x51b		what the BIOS is told; after all of PCI */
	NULL
};
