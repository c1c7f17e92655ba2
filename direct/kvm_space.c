/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The sink of the KVM engine: 4-level page tables in the VM's own memory, user pages in
 * the lower half, the shim in the last entry of every root. A KVM without nested paging
 * shadows them in turn, and is blind to what is stored from outside: so every change is
 * queued, and done by the shim before it enters user code. `tables` is how they will
 * be then. SDM 3A 4.5.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "direct/kvm.h"

#define PT_P	1ull
#define PT_W	2ull
#define PT_U	4ull
#define PT_A	0x20ull
#define PT_D	0x40ull
#define PT_NX	(1ull << 63)
#define PT_ADDR	0x000ffffffffff000ull

gpa_t kvm_table_gpa(uint32_t page)
{
	return KVM_SHIM_GPA + sizeof(struct kvm_shim) + (uint64_t)page * PAGE_SIZE;
}

static uint32_t table_page(uint64_t entry)
{
	return (uint32_t)(((entry & PT_ADDR) - kvm_table_gpa(0)) >> PAGE_SHIFT);
}

/* --- Edits -------------------------------------------------------------------------- */

int kvm_flush_edits(struct kvm *k)
{
	uint64_t *top = (uint64_t *)kvm_frame(k) + 2;	/* where IRETQ takes from */
	struct kvm_regs *r = &k->run->s.regs.regs;
	int err;

	if (!k->nedits)
		return 0;
	top[0] = KVM_SHIM_GVA + kvm_shim_at_done;
	top[1] = KVM_SEL_CODE;
	top[2] = 2;
	top[3] = KVM_SHIM_GVA + offsetof(struct kvm_shim, stack[512]);
	top[4] = KVM_SEL_DATA;
	memset(top - 5, 0, 5 * sizeof(*top));
	k->current = NULL;	/* cr3 is that of the last attempt to enter */
	do {	/* from the start, if a kick came in between: stores may be done twice */
		r->rsi = KVM_SHIM_GVA + offsetof(struct kvm_shim, edits);
		r->rcx = k->nedits;
		r->rdx = k->cr3;
		err = kvm_enter(k, KVM_SHIM_GVA + kvm_shim_at_edit, kvm_region_gva(k, top - 5));
	} while (err == -EINTR);
	if (err) {
		kvm_failed(k, "KVM_RUN", err);
	} else {
		k->nedits = 0;
		k->kernel.cr3 = k->cr3;
	}
	return err;
}

static int edit(struct kvm *k, uint32_t page, unsigned index, uint64_t entry)
{
	int err = 0;

	if (k->tables[page][index] == entry)
		return 0;
	if (k->nedits == KVM_EDITS)
		err = kvm_flush_edits(k);
	if (err)
		return err;
	k->tables[page][index] = entry;
	k->shim->edits[k->nedits++] = (struct kvm_edit){
		KVM_SHIM_GVA + (kvm_table_gpa(page) - KVM_SHIM_GPA) + 8 * index, entry };
	return 0;
}

/* --- Tables ------------------------------------------------------------------------- */

/* A page with no entries: those given back were emptied. -ENOMEM: the pool is used up. */
static int64_t page_take(struct kvm *k)
{
	if (k->pool_nfree)
		return k->pool_free[--k->pool_nfree];
	return k->pool_next < KVM_POOL_PAGES ? (int64_t)k->pool_next++ : -ENOMEM;
}

/* Empties what is below; level 0: entries map pages. */
static int table_drop(struct kvm *k, uint32_t page, unsigned level, unsigned end)
{
	int err = 0;

	for (unsigned i = 0; i < end && !err; i++) {
		uint64_t e = k->tables[page][i];

		if (!e)
			continue;
		if (level) {
			err = table_drop(k, table_page(e), level - 1, 512);
			if (!err)
				k->pool_free[k->pool_nfree++] = table_page(e);
		}
		if (!err)
			err = edit(k, page, i, 0);
	}
	return err;
}

/* Pages [gva, end) of the table's region; offset: of the first, in RAM. prot 0 unmaps. */
static int table_range(struct kvm *k, uint32_t page, unsigned level, gva_t gva, gva_t end,
		       uint64_t offset, unsigned prot)
{
	const unsigned shift = PAGE_SHIFT + 9 * level;
	int err = 0;

	while (gva < end && !err) {
		unsigned i = gva >> shift & 511;
		gva_t next = ((gva >> shift) + 1) << shift;
		uint64_t e = k->tables[page][i];

		if (next > end)
			next = end;
		if (!level) {
			e = !prot ? 0 : offset | PT_P | PT_U | PT_A | PT_D | (prot & SINK_W ? PT_W : 0) |
					(prot & SINK_X ? 0 : PT_NX);
			err = edit(k, page, i, e);
		} else if (e || prot) {
			if (!e) {
				int64_t fresh = page_take(k);

				if (fresh < 0)
					return (int)fresh;
				e = kvm_table_gpa((uint32_t)fresh) | PT_P | PT_W | PT_U | PT_A;
				err = edit(k, page, i, e);
			}
			if (!err)
				err = table_range(k, table_page(e), level - 1, gva, next, offset, prot);
		}
		offset += next - gva;
		gva = next;
	}
	return err;
}

/* --- The sink ------------------------------------------------------------------------- */

static struct space *space_create(void *engine, int *err)
{
	struct kvm *k = engine;
	struct space *s = calloc(1, sizeof(*s));
	int64_t page = !s ? -ENOMEM : k->nroots_free ? k->roots_free[--k->nroots_free] : page_take(k);

	*err = page < 0 ? (int)page : 0;
	if (!*err) {
		s->root = (uint32_t)page;
		*err = edit(k, s->root, 511, k->tables[0][511]);
	}
	if (*err) {
		free(s);
		return NULL;
	}
	k->live++;
	k->made++;
	return s;
}

static int space_clear(void *engine, struct space *s)
{
	s->nguard = 0;
	return table_drop(engine, s->root, 3, 256);
}

static void space_destroy(void *engine, struct space *s)
{
	struct kvm *k = engine;

	if (!s)
		return;
	/* The shim stays in it: the processor may be using it, and will until the edits are
	 * done. A root is never anything else again. */
	if (!space_clear(k, s) && k->nroots_free < ARRAY_LEN(k->roots_free))
		k->roots_free[k->nroots_free++] = s->root;
	if (k->current == s) {
		k->current = NULL;
		k->cr3 = kvm_table_gpa(0);
	}
	k->live--;
	free(s);
}

static int space_apply(void *engine, struct space *s, const struct sink_op *ops, size_t n)
{
	struct kvm *k = engine;
	int err = 0;

	for (size_t i = 0; i < n && !err; i++) {
		uint64_t len = ops[i].pages << PAGE_SHIFT;

		bug_on(ops[i].gva >= KVM_USER_TOP || len > KVM_USER_TOP - ops[i].gva);
		err = table_range(k, s->root, 3, ops[i].gva, ops[i].gva + len, (uint64_t)ops[i].offset,
				  ops[i].prot);
	}
	return err;
}

/* Armed when the space is entered (kvm.c). */
static int space_guard(void *engine, struct space *s, const gva_t *at, unsigned n)
{
	(void)engine;
	if (n)
		memcpy(s->guard, at, n * sizeof(*at));
	s->nguard = n;
	return 0;
}

static gva_t space_floor(void *engine)
{
	(void)engine;
	return 0;
}

static gva_t space_ceiling(void *engine)
{
	(void)engine;
	return KVM_USER_TOP;
}

static unsigned needs_guard(void *engine)
{
	const struct kvm *k = engine;

	unsigned always = (k->vmcall ? SINK_GUARD_VMCALL : 0) | (k->passes_ints ? SINK_GUARD_INTN : 0);

	return always | (k->exact ? SINK_GUARD_NOTHING | (k->has_guards ? 0 : SINK_GUARD_CANNOT) :
	       SINK_GUARD_CPUID | (k->own_tables ? SINK_OWN_SEGMENTS : 0) |
	       (k->has_guards ? 0 : SINK_GUARD_CANNOT));
}

struct sink kvm_sink(void *self)
{
	return (struct sink){
		.space_create = space_create, .space_destroy = space_destroy, .space_clear = space_clear,
		.apply = space_apply, .guard = space_guard, .floor = space_floor,
		.ceiling = space_ceiling, .needs_guard = needs_guard, .engine = self,
	};
}
