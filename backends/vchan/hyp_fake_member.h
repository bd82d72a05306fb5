/* SPDX-License-Identifier: ISC */
#ifndef FLOW_VCHAN_HYP_FAKE_MEMBER_H
#define FLOW_VCHAN_HYP_FAKE_MEMBER_H

#include "backends/vchan/hyp_fake_world.h"

/*
 * Members of a directory.  Each listens on a socket of its own: a process that
 * can connect to it knows that the member lives, and the kernel gives no two
 * members one number.
 */

/* Whether a member lives; true if this process cannot know. */
bool flow__fake_member_lives(const struct fake_dir *dir, uint32_t member);

/* Takes the number of a member: its socket, or -1 with errno, EADDRINUSE if it
 * is taken. */
int flow__fake_member_declare(const struct fake_dir *dir, uint32_t member);

/* Frees the number of a member that is dead. */
void flow__fake_member_remove(const struct fake_dir *dir, uint32_t member);

#endif
