/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest segments in the VM: the guest's descriptors at their own indices of the VM's table,
 * system registers before an entry, what user code loaded after it. SDM 3A 3.4, 5.5.
 */
#include <string.h>

#include "direct/kvm.h"
#include "machine/paging.h"

#define DESC_AVL	0x1000u			/* of struct segment's attr */
#define D_CODE		(1ull << 43)
#define D_CONFORMING	(1ull << 42)
#define D_S		(1ull << 44)
#define D_P		(1ull << 47)
#define D_ACCESSED	(1ull << 40)

/* A descriptor as the VM has it. Segments that user code may load (DPL 3, or conforming code,
 * SDM 3A 5.5) are the guest's; what else there is must trap. So must the load that
 * sets the accessed bit, since that belongs into the guest's table: it finds a segment that is
 * not present, for which LSL, VERR and VERW do not ask. */
static uint64_t descriptor_mirror(uint64_t d)
{
	bool conforming = (d & (D_CODE | D_CONFORMING)) == (D_CODE | D_CONFORMING);

	if (!(d & D_S) || ((d >> 45 & 3) != 3 && !conforming))
		return 0;
	return d & D_ACCESSED ? d : d & ~D_P;
}

/* The guest's descriptors at their own indices. */
static void gdt_mirror(struct kvm *k, const struct cpu *c)
{
	unsigned n = (c->gdtr.limit + 1u) / 8, i = 0;

	if (n > KVM_GDT_GUEST)
		n = KVM_GDT_GUEST;
	while (i < n) {
		gva_t at = c->gdtr.base + 8 * i;
		const uint64_t *p = NULL;
		struct walk w;
		unsigned room = (unsigned)(PAGE_SIZE - (at & ~PAGE_MASK)) / 8;

		if ((at & 7) == 0 && paging_walk(&k->m->mem, c, at, &w) == 0)
			p = (const uint64_t *)memory_hva(&k->m->mem, w.gpa);
		if (!room)
			room = 1;
		for (; room && i < n; room--, i++)
			kvm_gdt_put(k, i, p ? descriptor_mirror(*p++) : 0);
	}
	for (; i < k->gdt_len; i++)
		kvm_gdt_put(k, i, 0);
	k->gdt_len = n;
}

/* What a load of this selector would make of the register. */
static struct segment segment_loaded(const struct kvm *k, uint16_t sel)
{
	uint64_t d = k->shim->gdt[sel >> 3];
	uint32_t limit = (uint32_t)((d & 0xffff) | (d >> 32 & 0xf0000));
	struct segment s = { .sel = sel, .attr = d >> 40 & 0xf0ff };

	s.base = (d >> 16 & 0xffffff) | (d >> 56) << 24;
	s.limit = s.attr & SEG_G ? limit << 12 | 0xfff : limit;
	return s;
}

/* IRETQ takes CS and SS from the table: it must hold what the registers do. After SYSEXIT or
 * SYSRET, or a store to it, it may not. Then the shim would have the exception. */
static bool is_loadable(const struct kvm *k, const struct segment *g, bool wide)
{
	struct segment s = segment_loaded(k, g->sel);

	return (g->sel & 3) == 3 && !((s.attr ^ g->attr) & ~DESC_AVL) &&
	       (wide || (s.base == g->base && s.limit == g->limit));
}

static bool tsc_must_trap(const struct kvm *k, const struct cpu *c)
{
	return (c->cr4 & CR4_TSD) || c->tsc_offset || k->tsc_traps;
}

const char *kvm_refuses(void *self, const struct cpu *c)
{
	struct kvm *k = self;
	unsigned cs = c->seg[SEG_CS].sel, ss = c->seg[SEG_SS].sel;
	bool wide = cpu_code64(c);

	if (!wide && !k->wide32)
		return k->why32;
	if (k->no_tsd && !k->trying && tsc_must_trap(k, c))
		return "time-stamp counter, of which this KVM lets user code read the host's";
	if (c->msr_misc_features & 1)
		return "CPUID faulting, which the VM has not";
	if (c->cr4 & CR4_OSXSAVE)
		return "XSAVE in use";
	if ((c->msr_apic_base ^ k->kernel.apic_base) & APIC_BASE_ENABLE)
		return "APIC turned off";
	for (unsigned s = 0; s <= SEG_GS; s++)
		if (c->seg[s].sel & 4)
			return "segment of the LDT";
	if (k->own_selectors && (cs != KVM_HOST_CS64 || ss != KVM_HOST_DS))
		return "selectors, which this KVM replaces";
	gdt_mirror(k, c);
	if (!is_loadable(k, &c->seg[SEG_CS], wide))
		return "CS is not as its descriptor says";
	if (!is_loadable(k, &c->seg[SEG_SS], wide))
		return "SS is not as its descriptor says";
	if (wide ? c->rip >= KVM_USER_TOP : (uint32_t)c->rip > c->seg[SEG_CS].limit)
		return "RIP is beyond the end";
	return NULL;
}

static void segment_put(struct kvm_segment *k, const struct segment *s)
{
	*k = (struct kvm_segment){
		.base = s->base, .limit = s->limit, .selector = s->sel, .type = s->attr & 15,
		.present = !!(s->attr & SEG_P), .dpl = SEG_DPL(s->attr), .db = !!(s->attr & SEG_D),
		.s = !!(s->attr & SEG_S), .l = !!(s->attr & SEG_L), .g = !!(s->attr & SEG_G),
		.unusable = !(s->attr & SEG_P),
	};
}

static const uint8_t data_segs[] = { SEG_DS, SEG_ES, SEG_FS, SEG_GS };

static struct kvm_segment *segment_of(struct kvm_sregs *r, unsigned i)
{
	struct kvm_segment *all[] = { &r->ds, &r->es, &r->fs, &r->gs };

	return all[i];
}

/* Ring 0's system registers with the guest's data segments and the CR0, CR4 bits that
 * user code can feel. */
void kvm_sregs_load(struct kvm *k, const struct cpu *c)
{
	const uint64_t cr4 = CR4_OSFXSR | CR4_OSXMMEXCPT, cr0 = CR0_AM;
	struct kvm_sregs want = k->kernel;
	bool tsc_traps = tsc_must_trap(k, c);

	want.cr0 = (want.cr0 & ~cr0) | (c->cr0 & cr0);
	want.cr4 = (want.cr4 & ~(cr4 | CR4_TSD)) | (c->cr4 & cr4) | (tsc_traps ? CR4_TSD : 0);
	for (unsigned i = 0; i < ARRAY_LEN(data_segs); i++)
		segment_put(segment_of(&want, i), &c->seg[data_segs[i]]);
	if (!memcmp(&want, &k->kernel, sizeof(want)))
		return;
	k->kernel = want;
	k->run->s.regs.sregs = want;
	k->run->kvm_dirty_regs |= KVM_SYNC_X86_SREGS;
}

/* Data segments that user code loaded: their descriptors were the guest's own. */
void kvm_segments_store(struct kvm *k, struct cpu *c)
{
	struct kvm_sregs *r = &k->run->s.regs.sregs;

	for (unsigned i = 0; i < ARRAY_LEN(data_segs); i++) {
		const struct kvm_segment *s = segment_of(r, i);
		struct segment *g = &c->seg[data_segs[i]];

		if (s->selector != g->sel || (data_segs[i] >= SEG_FS && s->base != g->base))
			*g = (struct segment){
				.sel = s->selector, .base = s->base, .limit = s->limit,
				.attr = s->unusable ? 0 : (uint16_t)(s->type | s->s << 4 | s->dpl << 5 |
					s->present << 7 | s->l << 13 | s->db << 14 | s->g << 15),
			};
		*segment_of(&k->kernel, i) = *s;
	}
}

/* CS and SS, if a far transfer changed them: it took the guest's own descriptor, which the VM's
 * table holds too. */
void kvm_selector_store(struct kvm *k, struct segment *g, unsigned sel)
{
	if (sel != g->sel && (sel & ~3u))
		*g = segment_loaded(k, (uint16_t)sel);
}
