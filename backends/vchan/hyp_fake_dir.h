/* SPDX-License-Identifier: ISC */
#ifndef FLOW_VCHAN_HYP_FAKE_DIR_H
#define FLOW_VCHAN_HYP_FAKE_DIR_H

#include "backends/vchan/hyp_fake_world.h"

/* The files of a directory, and the member that one opening of it is. */

/*
 * Makes the directory and its tables; fails if a living maker has it.
 */
enum flow_status flow__fake_dir_make(struct fake_dir *dir, const char *path,
                                     bool silent, struct flow_error *err);

/* Names a directory that another process makes, now or later. */
enum flow_status flow__fake_dir_name(struct fake_dir *dir, const char *path,
                                     struct flow_error *err);

/* Attaches to it.  AGAIN: no living member has made it yet. */
enum flow_status flow__fake_dir_attach(struct fake_dir *dir,
                                       struct flow_error *err);

/* Detaches; a maker also removes the directory. */
void flow__fake_dir_leave(struct fake_dir *dir);
/* Closes inherited descriptors and mappings, without a change of the world. */
void flow__fake_dir_drop(struct fake_dir *dir);
/* Makes the member look dead to the others. */
void flow__fake_dir_kill(struct fake_dir *dir);

/*
 * The lock of the world, by which one member at a time uses the tables.  It is
 * a lock on the file, so the kernel releases it with the process.  If a member
 * keeps it for more than a second in all, the others go on without: correct
 * members may then overwrite each other's entries, with no worse effect than a
 * member that writes wrong ones.
 */
void flow__fake_lock(struct fake_dir *dir);
void flow__fake_unlock(struct fake_dir *dir);

#endif
