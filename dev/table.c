/* SPDX-License-Identifier: BSD-2-Clause */
/* The PC, part by part. The interrupt controller comes first: others drive lines. */
#include "dev/table.h"

const struct device_ops *const device_table[] = {
	&pic_device,		/* 0x20, 0xa0, 0x4d0	two 8259A */
	&pit_device,		/* 0x40-0x43, 0x61	8254, speaker gate */
	&rtc_device,		/* 0x70-0x71		MC146818 and CMOS memory */
	&i8042_device,		/* 0x60, 0x64		keyboard controller */
	&uart_device,		/* 0x3f8-0x3ff		PC16550D: COM1 */
	&port92_device,		/* 0x92			fast A20 and reset */
	&cf9_device,		/* 0xcf8-0xcff		reset control; no PCI */
	&post_device,		/* 0x80-0x8f, 0xf0-0xf1	POST code, DMA pages, FERR latch */
	&debugport_device,	/* 0xe9			Bochs' debug console */
	&debug_exit_device,	/* 0xf4			isa-debug-exit, if asked for */
	NULL
};
