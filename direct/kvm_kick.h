/* SPDX-License-Identifier: BSD-2-Clause */
/* The signal that ends KVM_RUN. SIGUSR1 and SIGUSR2 are the user's, and blocked in every thread
 * but one. */
#ifndef DIRECT_KVM_KICK_H
#define DIRECT_KVM_KICK_H

#include <signal.h>

#define KVM_KICK_SIGNAL	(SIGRTMIN + 1)

#endif
