/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hemi run: what is made in which order, and what the end of the run means as
 * an exit status. How the guest is run is the mode manager's business.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/console.h"
#include "cli/control_socket.h"
#include "cli/display.h"
#include "cli/firmware.h"
#include "cli/load.h"
#include "cli/network.h"
#include "cli/options.h"
#include "cli/screenshot.h"
#include "cli/stats.h"
#include "dev/chardev.h"
#include "dev/table.h"
#include "interp/cpu_model.h"
#include "machine/snapshot.h"
#include "vmexit/vmm.h"

struct run {
	struct options options;
	const struct config *cfg;
	struct boot *boot;	/* NULL: a BIOS boots */
	uint8_t *bios, *vgabios;
	struct machine machine;
	bool made;		/* machine_create() succeeded */
	struct vmm *vmm;
	struct control *control;
	struct control_socket *socket;
	struct console *console;
	struct display *display;
	struct network *network;
	char why[WHY_SIZE];
};

static int failed(const char *what, int err)
{
	fprintf(stderr, "hemi: %s: %s\n", what, strerror(-err));
	return EXIT_HOST;
}

static int failed_why(const char *why)
{
	fprintf(stderr, "hemi: %s\n", why);
	return EXIT_HOST;
}

/* --- Before anything is made ------------------------------------------------------- */

/* Files that are opened later must not take the place of a closed standard stream. */
static int streams_check(const struct config *cfg)
{
	bool has_out = fcntl(STDOUT_FILENO, F_GETFD) >= 0;

	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) < 0)
			return failed("/dev/null", -errno);
	if (!has_out && strcmp(cfg->serial, "stdio") == 0)
		return failed_why("standard output is closed; say --serial=none or --serial=file:NAME");
	return EXIT_OK;
}

static int stats_file_check(const struct config *cfg)
{
	int err = cfg->stats_file ? stats_check(cfg->stats_file) : 0;

	if (!err)
		return EXIT_OK;
	fprintf(stderr, "hemi: stats file %s: %s\n", cfg->stats_file, strerror(-err));
	return EXIT_HOST;
}

/* --- Making ------------------------------------------------------------------------ */

/* Who watches and controls the machine. */
static int run_create_outside(struct run *r)
{
	struct machine *m = &r->machine;
	int err = control_create(&r->control, m, r->vmm);

	if (err)
		return failed("control", err);
	if (r->cfg->paused)
		machine_stop(m);
	err = console_start(&r->console, m, r->control);
	if (err)
		return failed("console", err);
	if (r->cfg->control && control_socket_open(&r->socket, r->control, r->cfg->control, r->why))
		return failed_why(r->why);
	if (display_start(&r->display, m, r->console, r->control, r->why))
		return failed_why(r->why);
	err = network_start(r->network);
	if (err)
		return failed("network", err);
	return EXIT_OK;
}

static int run_create(struct run *r)
{
	struct machine *m = &r->machine;
	int err;

	if (r->cfg->kernel && boot_open(&r->boot, r->cfg, r->why))
		return failed_why(r->why);
	err = machine_create(m, r->cfg);
	if (err)
		return failed("guest memory (--memory)", err);
	r->made = true;
	if (!r->boot && firmware_load(m, r->cfg, &r->bios, r->why))
		return failed_why(r->why);
	if (vgabios_load(m, r->cfg, &r->vgabios, r->why))
		return failed_why(r->why);
	if (media_open(m, r->cfg, r->why))
		return failed_why(r->why);
	if (network_open(&r->network, m, r->why))
		return failed_why(r->why);
	if (chardev_open(&m->console, m, r->cfg->serial, r->why))
		return failed_why(r->why);
	if (strcmp(r->cfg->serial, "pty") == 0)
		fprintf(stderr, "hemi: the serial port is %s\n", chardev_name(m->console));
	if (vmm_create(&r->vmm, m, r->why)) {
		fprintf(stderr, "hemi: %s%s\n", r->why, r->cfg->engine == ENGINE_HYBRID ?
			"; --engine=interp does without a direct engine" : "");
		return EXIT_HOST;
	}
	err = machine_add_devices(m, device_table);
	if (err)
		return failed("devices", err);
	return run_create_outside(r);
}

static void run_destroy(struct run *r)
{
	display_stop(r->display);
	control_socket_close(r->socket);
	console_stop(r->console);
	network_stop(r->network);
	control_destroy(r->control);
	if (r->vmm)
		vmm_destroy(r->vmm);
	if (r->made) {	/* the serial port writes what it has left */
		machine_destroy(&r->machine);
		network_close(r->network);
		chardev_close(r->machine.console);
		media_close(&r->machine);
	}
	free(r->bios);
	free(r->vgabios);
	boot_close(r->boot);
	options_free(&r->options);
}

/* --- Running ----------------------------------------------------------------------- */

static int status_quit(const struct machine *m)
{
	if (!m->quit_signal) {
		fputs("hemi: quit\n", stderr);
		return EXIT_OK;
	}
	fprintf(stderr, "hemi: stopped by signal %d (%s)\n", m->quit_signal,
		strsignal(m->quit_signal));
	return EXIT_SIGNAL + m->quit_signal;
}

static int status_of(enum power power, const struct machine *m)
{
	switch (power) {
	case POWER_OFF:
	case POWER_RESET:
		return EXIT_OK;
	case POWER_DEBUG_EXIT:
		return (int)((m->debug_exit_code << 1 | 1) & 0xff);
	case POWER_TIMEOUT:
		fprintf(stderr, "hemi: stopped after %g s (--timeout)\n", m->config->timeout);
		return EXIT_TIMEOUT;
	case POWER_TRIPLE:
		fputs("hemi: triple fault; the vCPU:\n", stderr);
		cpu_dump(m->cpu, stderr);
		return EXIT_TRIPLE;
	case POWER_QUIT:
		return status_quit(m);
	case POWER_DIFFERENCE:
		return EXIT_DIFFERENCE;
	case POWER_HOST_FAILURE:
		return EXIT_HOST;
	case POWER_ON:
		break;
	}
	bug("the machine stopped while it was on");
}

/* Boots, and boots again as long as the guest resets the machine. 0: *power says
 * how it ended. */
static int run_loop(struct run *r, enum power *power)
{
	struct machine *m = &r->machine;
	struct cpu_model model;
	char why[128];
	bool long_mode = cpu_model_parse(&model, r->cfg->cpu_model, why, sizeof(why)) &&
			 cpu_model_has(&model, F_LM);

	do {
		machine_reset(m);
		int err = r->boot ? boot_load(r->boot, m, long_mode, r->why) : 0;

		if (err && err != -EINTR)
			return -1;
		vmm_flush(r->vmm);
		if (r->cfg->verbose && r->boot && !err)
			fprintf(stderr, "hemi: kernel %s entered at %#llx\n", r->cfg->kernel,
				(unsigned long long)m->cpu->rip);
		*power = vmm_run(r->vmm);	/* takes a request first */
		if (*power == POWER_RESET && !r->cfg->no_reboot)
			control_was_reset(r->control);
	} while (*power == POWER_RESET && !r->cfg->no_reboot);
	return 0;
}

/* Everything that could make two runs differ from here on: processor, devices, RAM. */
static void print_state_hash(struct machine *m)
{
	GChecksum *sum = g_checksum_new(G_CHECKSUM_SHA256);
	uint64_t ram = m->mem.low_size + m->mem.high_size;
	struct state s;

	state_init(&s);
	machine_save(m, &s);
	g_checksum_update(sum, s.buf, (gssize)s.len);
	g_checksum_update(sum, m->mem.ram, (gssize)ram);
	fprintf(stderr, "hemi: state %s\n", g_checksum_get_string(sum));
	state_free(&s);
	g_checksum_free(sum);
}

static int run_report(struct run *r, int status)
{
	struct stats s = { 0 };
	int err;

	if (r->cfg->state_hash)
		print_state_hash(&r->machine);
	if (r->cfg->lockstep)
		vmm_lockstep_summary(r->vmm);

	if (!r->cfg->want_stats)
		return status;
	vmm_stats(r->vmm, &s);
	if (!r->cfg->stats_file) {
		stats_print(&s, stderr);
		return status;
	}
	err = stats_write(&s, r->cfg->stats_file);
	if (!err)
		return status;
	fprintf(stderr, "hemi: stats file %s: %s\n", r->cfg->stats_file, strerror(-err));
	return status ? status : EXIT_HOST;
}

static int run_machine(struct run *r)
{
	enum power power;
	int err = run_loop(r, &power), status;

	/* The guest's last words, while signals still count; then the terminal is the
	 * user's again before anything is said. */
	chardev_flush(r->machine.console);
	if (r->machine.look)
		r->machine.look(r->machine.look_arg);
	control_end(r->control, err ? POWER_HOST_FAILURE : power);
	display_stop(r->display);
	r->display = NULL;
	control_socket_close(r->socket);
	r->socket = NULL;
	console_stop(r->console);
	r->console = NULL;
	if (err)
		return failed_why(r->why);
	if (r->cfg->screenshot) {
		err = screenshot_write(&r->machine, r->cfg->screenshot);
		if (err)
			fprintf(stderr, "hemi: screenshot %s: %s\n", r->cfg->screenshot, strerror(-err));
	}
	status = run_report(r, status_of(power, &r->machine));
	return err && !status ? EXIT_HOST : status;
}

int command_run(int argc, char **argv)
{
	static struct run r;
	int status = options_parse(&r.options, argc, argv);

	r.cfg = &r.options.config;
	if (status == OPTIONS_RUN) {
		console_block_signals();
		status = streams_check(r.cfg);
		if (!status)
			status = stats_file_check(r.cfg);
		if (!status)
			status = run_create(&r);
		if (!status)
			status = run_machine(&r);
	}
	run_destroy(&r);
	return status;
}
