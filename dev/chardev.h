/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The host side of a serial port. Output is buffered and written on the vCPU
 * thread; input comes through a ring with one producer (any one thread that calls
 * chardev_feed) and one consumer (the device, on the vCPU thread).
 *
 * Who reads the host's input and looks for escape keys is not decided here: that
 * thread polls chardev_input_fd() and feeds what is meant for the guest. When it
 * feeds, the vCPU gets ATT_INPUT and then calls chardev_deliver().
 */
#ifndef DEV_CHARDEV_H
#define DEV_CHARDEV_H

#include <sys/types.h>

#include "machine/machine.h"

struct chardev;

/*
 * spec: stdio, file:PATH, append:PATH, pty, none. On failure -errno and one line in why[]. Does
 * not touch terminal modes. SIGPIPE is ignored from here on: a vanished reader is an
 * error of write(), reported once, and ends the run with POWER_HOST_FAILURE.
 */
int chardev_open(struct chardev **out, struct machine *m, const char *spec, char why[static 160]);
/* Flushes, closes, frees; after machine_destroy(), because the device holds on to
 * it. NULL is allowed, here and below (for producers it is not). */
void chardev_close(struct chardev *c);

/* Where it goes, for a message: "stdio", "/dev/pts/7". */
const char *chardev_name(const struct chardev *c);
/* Where the host's input comes from, or -1. */
int chardev_input_fd(const struct chardev *c);

/* Output (vCPU thread). Written when the buffer is full, after a newline, and by
 * chardev_flush(). */
void chardev_write(struct chardev *c, const uint8_t *p, size_t n);
void chardev_flush(struct chardev *c);
bool chardev_unflushed(const struct chardev *c);
/* Output goes to this function instead of the file; it gives the number of bytes
 * taken or -errno. */
void chardev_set_output(struct chardev *c, ssize_t (*write)(void *arg, const uint8_t *p, size_t n),
			void *arg);

/* Input, producer: gives the number of bytes that the ring had room for. */
size_t chardev_feed(struct chardev *c, const uint8_t *p, size_t n);
/* Producer without escape keys: reads once from the input fd and feeds. The number
 * of bytes, 0 at the end of the input, -EAGAIN if there was nothing or no room. */
ssize_t chardev_pump(struct chardev *c);
/* Input, consumer (vCPU thread). */
bool chardev_get(struct chardev *c, uint8_t *byte);
/* What was fed and not yet taken, into a snapshot and back. Restoring throws away what is there;
 * it feeds, so no producer may be at work. */
struct state;
void chardev_save_input(struct chardev *c, struct state *s);
void chardev_restore_input(struct chardev *c, struct state *s);
void chardev_set_receiver(struct chardev *c, void (*ready)(void *arg), void *arg);
void chardev_deliver(struct chardev *c);	/* for ATT_INPUT: tells the receiver */

#endif
