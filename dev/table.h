/* SPDX-License-Identifier: BSD-2-Clause */
/* Every device of the PC, by name; the machine is built from device_table. */
#ifndef DEV_TABLE_H
#define DEV_TABLE_H

#include "machine/device.h"

extern const struct device_ops pic_device, lapic_device, ioapic_device,
	pit_device, rtc_device, uart_device, i8042_device,
	port92_device, post_device, debugport_device, debug_exit_device, pci_device,
	i440fx_device, piix3_device, piix4_pm_device, fw_cfg_device,
	ide_device, isa_dma_device, fdc_device, vga_device;

/* In the order of initialisation and of a snapshot; ends in NULL. */
extern const struct device_ops *const device_table[];

#endif
