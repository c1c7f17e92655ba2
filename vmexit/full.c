/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * --engine=full: the loop around a processor that needs nobody to look at an
 * instruction. Requests from outside, guest time and idle waits are as in vmm.c.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "interp/cpu_model.h"
#include "vmexit/internal.h"

static const struct { const char *name; uint32_t leaf; uint8_t reg, bit; } features[] = {
#define FEATURE(symbol, kind, name, leaf, reg, bit, ...) \
	[F_##symbol] = { name, leaf, reg, bit },
	/* Registers in features.def are names. */
#define EAX 0
#define EBX 1
#define ECX 2
#define EDX 3
#include "interp/features.def"
#undef FEATURE
};

/* The rest need nothing of the host, or nothing that KVM reports. */
static bool host_matters(unsigned feature)
{
	return feature != F_CONSTANT_TSC && feature != F_HYPERVISOR && feature != F_MONITOR;
}

/* The guest's processor is the same on every engine, or there is none. */
static int check_model(struct full *f, const char *spec, char *why)
{
	struct cpu_model model;
	char text[62], parse[128];
	size_t n = 0;

	if (!cpu_model_parse(&model, spec, parse, sizeof(parse)))
		return -EINVAL;
	text[0] = '\0';
	for (unsigned i = 0; i < ARRAY_LEN(features); i++) {
		uint32_t sub = features[i].leaf == 0xd;

		if (!features[i].name || !cpu_model_has(&model, i) || !host_matters(i) ||
		    full_offers(f, features[i].leaf, sub, features[i].reg) >> features[i].bit & 1)
			continue;
		if (n < sizeof(text))
			n += (size_t)snprintf(text + n, sizeof(text) - n, ",-%s", features[i].name);
	}
	if (!n)
		return 0;
	snprintf(why, 128, "this host's KVM lacks some of the CPU; say --cpu=%.16s%s", model.name,
		 text);
	return -ENOTSUP;
}

int full_create(struct vmm *vmm, char why[static 128])
{
	int err = full_open(&vmm->full, vmm->m, why);

	if (!err)
		err = check_model(vmm->full, vmm->m->config->cpu_model, why);
	return err;
}

static void classify(struct vmm *vmm, enum full_exit x)
{
	struct machine *m = vmm->m;

	vmm->full_reasons[x]++;
	switch (x) {
	case FULL_HLT:
		/* HLT with interrupts off waits for nothing that could come. */
		if (full_interruptible(vmm->full) || m->cpu->nmi_pending)
			m->cpu->halted = true;
		else
			m->power = POWER_OFF;
		break;
	case FULL_SHUTDOWN:
		m->power = POWER_TRIPLE;
		break;
	case FULL_HOST:
		m->power = POWER_HOST_FAILURE;
		break;
	default:
		break;
	}
}

void full_loop(struct vmm *vmm)
{
	struct machine *m = vmm->m;

	m->cpu->halted = false;
	if (full_load(vmm->full, m->cpu)) {
		m->power = POWER_HOST_FAILURE;
		return;
	}
	while (m->power == POWER_ON) {
		vmm_take_requests(m);
		if (m->power != POWER_ON)
			break;
		int64_t next = clock_run(&m->clock);
		int64_t before = host_now();

		vmm->next_timer = next == INT64_MAX ? INT64_MAX : before + next;
		if (m->cpu->halted && !m->intr && !m->cpu->nmi_pending) {
			wait_idle(vmm);
			continue;
		}
		m->cpu->halted = false;
		preempt_arm(vmm);
		before = host_now();
		enum full_exit x = full_run(vmm->full);

		vmm_account(vmm, &vmm->full_floor[x], host_now() - before);
		classify(vmm, x);
	}
	if (m->power != POWER_HOST_FAILURE && full_store(vmm->full, m->cpu))
		m->power = POWER_HOST_FAILURE;
}

void full_stats(const struct vmm *vmm, struct stats *out)
{
	static const char *const names[FULL_EXITS] = {
		[FULL_IO] = "port", [FULL_MMIO] = "device memory", [FULL_HLT] = "halt",
		[FULL_WINDOW] = "interrupt window", [FULL_KICK] = "kick",
		[FULL_SHUTDOWN] = "triple fault", [FULL_HOST] = "host failure",
	};

	out->direct = "kvm";
	out->crossings = vmm->crossings;
	for (unsigned i = 0; i < FULL_EXITS; i++)
		out->by_reason[i] = (struct stats_count){ names[i], vmm->full_reasons[i] };
}
