/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The assembler of the machine in model/pg.h (docs/model.md tells its language). Two passes
 * over the text; the result is the memory of a machine that is switched on.
 */
#ifndef MODEL_ASM_H
#define MODEL_ASM_H

#include <stdint.h>

#define ASM_NAME	32
#define ASM_SYMBOLS	512
#define ASM_CELLS	4096

struct model_symbol {
	char name[ASM_NAME];
	uint64_t value;
	uint16_t cell;	/* where it was defined */
};

struct model_program {
	uint64_t e[ASM_CELLS];
	unsigned size;	/* cells up to the last one that was given a value */
	unsigned nsymbols;
	struct model_symbol symbol[ASM_SYMBOLS];
};

/*
 * 0, or -EINVAL and in error[] one line "name:line: what is wrong". name is for errors only.
 */
int model_assemble(struct model_program *p, const char *name, const char *text,
		   char *error, unsigned size);
/* The same from a file; -errno if it cannot be read. */
int model_assemble_file(struct model_program *p, const char *path, char *error, unsigned size);
const struct model_symbol *model_symbol_find(const struct model_program *p, const char *name);

#endif
