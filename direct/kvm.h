/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside the KVM engine: one VM with one processor, whose page tables the shadow's
 * operations become.
 *
 *	kvm.c		the engine: run, step, kick; what an exit means
 *	kvm_open.c	the VM: memory, processor, the shim, whether this KVM can serve
 *	kvm_space.c	the sink: page tables
 *	kvm_check.c	has anybody else changed what is in it?
 *	kvm_shim.S	the code in ring 0
 *
 * Everything runs on the vCPU thread except kick. <linux/kvm.h> is for these files alone.
 */
#ifndef DIRECT_KVM_H
#define DIRECT_KVM_H

#include <linux/kvm.h>
#include <stdatomic.h>
#include <sys/types.h>
#undef PAGE_SHIFT
#undef PAGE_SIZE
#undef PAGE_MASK

#include "direct/direct.h"
#include "direct/kvm_kick.h"
#include "direct/kvm_shim.h"

/* arch/x86/include/asm/segment.h in Linux. */
#define KVM_HOST_CS64	0x33u
#define KVM_HOST_DS	0x2bu
#define KVM_USER_TOP	0x800000000000ull
#define KVM_POOL_PAGES	((KVM_REGION_SIZE - sizeof(struct kvm_shim)) / PAGE_SIZE)

struct space {
	uint32_t root;			/* pool page of the PML4 */
	gva_t guard[4];
	unsigned nguard;
};

struct kvm {
	struct machine *m;
	int fd, vm, vcpu;
	size_t run_size;
	struct kvm_run *run;
	uint8_t *region;		/* KVM_REGION_SIZE: the shim, then the pool */
	struct kvm_shim *shim;
	/* The tables as they will be once the edits are done: pool page, entry. */
	uint64_t (*tables)[512];
	uint32_t *pool_free, pool_nfree, pool_next;
	uint32_t roots_free[64], nroots_free;
	unsigned nedits;
	unsigned gdt_len;		/* entries that may be other than 0 */
	uint64_t gdt[KVM_GDT_GUEST];	/* the guest's descriptors as they were put into the shim's */
	unsigned live, made;

	struct space *current;		/* whose CR3 is loaded; NULL: not known */
	bool in_user;			/* stopped in ring 3 and not by a stub */
	bool stepping, step_seen;
	bool wide32;			/* 32-bit code runs natively */
	char why32[64];			/* if not */
	bool tsc_traps;			/* RDTSC would not show the host's counter */
	bool no_tsd;			/* it does not trap whatever CR4.TSD says */
	bool exact;			/* nothing needs a guard */
	bool trying;			/* not yet open: there are no guest tables */
	bool own_tables;		/* LSL and loads of segments meet the VM's descriptors */
	bool has_guards;
	bool vmcall;			/* VMCALL or VMMCALL of user code is answered */
	bool passes_ints;		/* some of INT 10h to 1Fh do nothing */
	bool own_selectors;		/* 64-bit code reads CS and SS of the host's Linux */
	gva_t guard[4];			/* armed */
	unsigned nguard;
	struct kvm_sregs kernel;	/* ring 0 as the shim wants it, with the CR3 that is loaded */
	uint64_t cr3;			/* what the shim will load: only it, after the edits that make it */

	struct fpu fpu_seen;
	bool fpu_known;
	uint8_t fpu_image[512];

	pid_t tid;			/* who runs; for kick() */
	atomic_bool kicked;
	char failure[96];		/* empty: none so far */
};

static inline gva_t kvm_region_gva(const struct kvm *k, const void *p)
{
	return KVM_SHIM_GVA + (uint64_t)((const uint8_t *)p - k->region);
}

static inline void kvm_gdt_put(struct kvm *k, unsigned i, uint64_t d)
{
	k->shim->gdt[i] = k->gdt[i] = d;
	if (i >= k->gdt_len)
		k->gdt_len = i + 1;
}

/* kvm_open.c */
int kvm_open(void **self, struct machine *m, char why[static 128]);
void kvm_close(void *self);
/* Notes a host failure, the first one alone. */
void kvm_failed(struct kvm *k, const char *what, int err);
void kvm_shim_fill(struct kvm_shim *s);
#define KVM_SHIM_MSRS	4
extern const struct kvm_msr_entry kvm_shim_msrs[KVM_SHIM_MSRS];
/* kvm_trial.c: runs a little user code and notes what this KVM makes of it. -errno and why, if it
 * cannot serve. */
int kvm_try(struct kvm *k, char why[static 128]);
/* kvm_check.c: what in the VM, guest RAM aside, is not as the monitor made it; or NULL. */
const char *kvm_differs(const struct kvm *k);
/* kvm_space.c */
struct sink kvm_sink(void *self);
gpa_t kvm_table_gpa(uint32_t page);
/* Has the queued edits done now. */
int kvm_flush_edits(struct kvm *k);
/* kvm.c */
/* One KVM_RUN until the shim speaks or the processor stops in user code. 0, -EINTR: kicked;
 * -EIO: the VM is broken. */
int kvm_enter(struct kvm *k, uint64_t rip, uint64_t rsp);
struct kvm_frame *kvm_frame(struct kvm *k);
void kvm_run_user(void *self, struct space *s, struct cpu *c, struct direct_exit *x);
/* kvm_seg.c */
const char *kvm_refuses(void *self, const struct cpu *c);
/* System registers as the shim wants them, with the guest's data segments and the bits of CR0 and
 * CR4 that user code can feel. */
void kvm_sregs_load(struct kvm *k, const struct cpu *c);
/* Data segments that user code loaded; CS or SS, if it left another selector there. */
void kvm_segments_store(struct kvm *k, struct cpu *c);
void kvm_selector_store(struct kvm *k, struct segment *g, unsigned sel);

#endif
