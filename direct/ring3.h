/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside the ring3 engine: the stub process, the address space it stands for,
 * and what the files of the engine need of each other.
 *
 *	ring3.c		the engine: open, run, kick
 *	ring3_stub.c	the process: birth, batches of system calls, death
 *	ring3_space.c	the sink: mappings, guards, the pool of idle stubs
 *	ring3_seg.c	guest segments and the stub's descriptor tables
 *	ring3_regs.c	registers and FPU, in and out
 *	ring3_exit.c	what a stop means
 *	ring3_probe.c	whether the host allows all of it
 *
 * Everything runs on the vCPU thread (ptrace demands one thread) except kick.
 */
#ifndef DIRECT_RING3_H
#define DIRECT_RING3_H

#include <signal.h>
#include <stdatomic.h>
#include <sys/types.h>
#include <sys/user.h>
#undef PAGE_SHIFT	/* sys/user.h has its own; machine/types.h decides */
#undef PAGE_SIZE
#undef PAGE_MASK

#include "direct/direct.h"
#include "direct/stub.h"

#define STUBS_MAX	1024	/* live processes, and pages of the exchange memfd */
#define STUBS_IDLE	8	/* kept for the next space_create */
#define KICK_SIGNAL	SIGUSR1
#define FXSAVE_SIZE	512
#define STUB_SIZE	(2ull * PAGE_SIZE)	/* exchange and text */

struct stub_req {
	uint64_t nr, arg[6];
};
_Static_assert(sizeof(struct stub_req) == STUB_REQ_SIZE, "stub.S walks this array");

/* The exchange page. The monitor writes it and never reads it. */
#define STUB_REQS	64
struct xchg {
	struct stub_req req[STUB_REQS];
	uint8_t data[4096 - STUB_REQS * STUB_REQ_SIZE];	/* what requests point to */
};
_Static_assert(sizeof(struct xchg) == 4096, "one page");

/* A descriptor-table entry of the stub as the monitor last wrote it. seg.sel is
 * the guest's own selector; turn is the run that last used it. */
struct slot {
	struct segment seg;
	bool set;
	uint32_t turn;
};

/* The host's own flat segments, arch/x86/include/asm/segment.h in Linux. */
#define HOST_CS32	0x23
#define HOST_DS		0x2b
#define HOST_CS64	0x33

#define SEG_USER	(SEG_GS + 1)	/* ES, CS, SS, DS, FS, GS */
#define TLS_FIRST	12		/* GDT indices that a Linux process may set */
#define TLS_COUNT	3

struct space {
	struct ring3 *e;
	struct space *next;		/* idle list */

	pid_t pid;
	int pidfd;			/* -1 where the host has none */
	gva_t home;			/* exchange page; the text is the page behind it */
	unsigned page;			/* of the exchange memfd */
	struct xchg *x;
	unsigned nreq, ndata;		/* queued in *x */
	bool dead;

	/* Segments: the guest's as loaded last, the host selectors for them. */
	bool seg_known;
	struct segment seg[SEG_USER];
	uint16_t host[SEG_USER];
	struct slot *ldt;
	unsigned nldt;
	struct slot tls[TLS_COUNT];
	uint32_t turn;

	gva_t guard[4];
	unsigned nguard;
	uint64_t dr[4];			/* as poked */
	uint64_t dr7;

	bool tsc_traps;
	bool stepping;			/* one instruction is asked for */
	bool id;			/* EFLAGS.ID of the process */
};

struct ring3 {
	struct machine *m;
	int image_fd, xchg_fd;
	struct xchg *xchg;		/* STUBS_MAX of them */
	uint8_t page_used[STUBS_MAX];
	struct space *idle;
	unsigned nidle, live, made;
	gva_t floor;
	unsigned int1_len;		/* how far behind INT1 the host reports it: 0 or 1 */
	bool syscall32, sysenter;	/* which of them enters the host from 32-bit code */
	bool cpuid_traps;		/* the probe saw it: every stub must do so */
	bool cpuid_left;		/* stubs are not to trap it */
	bool pinned;
	bool complained;

	/* FPU: whose registers hold the guest's state, what they held when last looked
	 * at, as an image and as the interpreter sees it. */
	struct space *fpu_owner;
	struct cpu *fpu_away;		/* whose state was not fetched from the owner, or NULL */
	bool fpu_lazy;
	uint16_t fpu_cs, fpu_ds;	/* selectors that go with its last instruction pointer */
	struct fpu fpu_seen;
	uint8_t fpu_image[FXSAVE_SIZE];
	bool fpu_image_valid;
	unsigned xstate_size;		/* 0: a host without XSAVE */

	/* kick(), from any thread: says so and signals the stub that runs. */
	atomic_bool kicked;
	atomic_int running_fd;		/* its pidfd, -1: none */
	atomic_int running_pid;		/* used where there are no pidfds */
};

/* ring3_stub.c */
/* A new process in *s, confined, stopped in its text with nothing else mapped. -errno,
 * and *what names the step that failed. */
int stub_start(struct ring3 *e, struct space *s, const char **what);
/* Where a stub could live. */
gva_t stub_home(void);
void stub_kill(struct space *s);	/* FPU state in it is lost: fpu_fetch() before */
/* Queues a system call; stub_flush makes the stub do them in order. -errno of the
 * first that failed, *done (may be NULL) the number before it. */
void stub_queue(struct space *s, long nr, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3,
		uint64_t a4, uint64_t a5);
/* Copies to the exchange page; the address in the stub. */
uint64_t stub_data(struct space *s, const void *p, size_t n);
int stub_flush(struct space *s, unsigned *done);
/* A ptrace request on the stopped stub. 0 or -errno; -ESRCH: it died and is marked so. */
int stub_ptrace(struct space *s, int request, void *addr, void *data);
/* Resumes with a ptrace request until the next stop. 0, or -ESRCH: it died. */
int stub_resume(struct space *s, int request, int *status);
/* Sets EFLAGS.ID of the process. */
int stub_set_id(struct space *s, bool id);
/* One line, once per engine: a host failure. */
void ring3_complain(struct ring3 *e, const char *what, int err);

/* ring3_seg.c */
const char *seg_refuses(const struct cpu *c);
/* Brings the stub's tables up to c's segments and fills s->host. */
int seg_load_all(struct space *s, const struct cpu *c);
/* Selectors found after a stop: updates c where the meaning is known, else describes
 * the first unknown one in *x and returns true. */
bool seg_audit(struct space *s, struct cpu *c, const struct user_regs_struct *r,
	       struct direct_exit *x);
void seg_forget(struct space *s);

/* ring3_regs.c */
void regs_load(const struct space *s, const struct cpu *c, struct user_regs_struct *r);
void regs_store(struct cpu *c, const struct user_regs_struct *r);
int fpu_load(struct space *s, struct cpu *c);
int fpu_store(struct space *s, struct cpu *c);
/* Fetches what is away, if it is, before the owner goes or another takes over. */
int fpu_fetch(struct ring3 *e);
int fpu_measure(struct space *s);

/* ring3_exit.c */
void exit_classify(struct space *s, struct cpu *c, int status, struct user_regs_struct *r,
		   struct direct_exit *x);

/* ring3_space.c */
struct space *space_create(void *engine, int *err);
void space_destroy(void *engine, struct space *s);
struct sink ring3_sink(void *self);

/* ring3.c, ring3_probe.c */
void ring3_pin(struct ring3 *e);
void ring3_run(void *self, struct space *s, struct cpu *c, struct direct_exit *x);
void ring3_step(void *self, struct space *s, struct cpu *c, struct direct_exit *x);
int ring3_probe(struct ring3 *e, char why[static 128]);

#endif
