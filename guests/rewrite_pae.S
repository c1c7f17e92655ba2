/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rewrite_pae: as rewrite, under PAE paging (SDM 3A 4.4) with 2 MiB pages, page directories that
 * change places in the PDPT, and execute-disable where the processor has it.
 */
#define PAE
#include "guest.inc"
#include "rewrite.inc"
