/* SPDX-License-Identifier: BSD-2-Clause */
/* States, instructions and differences as text for a person. */
#ifndef MODEL_SHOW_H
#define MODEL_SHOW_H

#include <stdio.h>

#include "model/asm.h"
#include "model/compare.h"

#define SHOW_LEN	80

const char *show_psw(struct pg_psw psw, char text[SHOW_LEN]);
/* As the assembler would take it; .word for what is no instruction of any machine. */
const char *show_word(uint64_t word, char text[SHOW_LEN]);
/* The nearest label at or before a cell, as "label+n: "; empty without one. */
const char *show_place(const struct model_program *p, unsigned cell, char text[SHOW_LEN]);
/* The step that compare_step() ended at: what was executed, and both states after it. */
void show_difference(FILE *f, const struct compare *c);
/*
 * What a program has written to its "console": a cell with that label counts the characters
 * that follow. Never more than there is memory for.
 */
void show_console(FILE *f, const struct model_program *p, const struct pg *m);

#endif
