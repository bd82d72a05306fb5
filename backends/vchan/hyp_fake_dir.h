/* SPDX-License-Identifier: ISC */
#ifndef FLOW_VCHAN_HYP_FAKE_DIR_H
#define FLOW_VCHAN_HYP_FAKE_DIR_H

#include "backends/vchan/hyp_fake_world.h"

/* The files of a directory, and who has opened it. */

/*
 * Makes the directory and its tables, or fails when a living maker has it.
 */
enum flow_status flow__fake_dir_make(struct fake_dir *dir, const char *path,
                                     bool silent, struct flow_error *err);

/* Names a directory that another process makes, now or later. */
enum flow_status flow__fake_dir_name(struct fake_dir *dir, const char *path,
                                     struct flow_error *err);

/* Attaches to it: OK, AGAIN while nobody alive has made it, or an error. */
enum flow_status flow__fake_dir_attach(struct fake_dir *dir,
                                       struct flow_error *err);

/* Detaches; a maker also removes the directory. */
void flow__fake_dir_leave(struct fake_dir *dir);
/* Closes what a process inherited of it, and leaves the world as it is. */
void flow__fake_dir_drop(struct fake_dir *dir);
/* Makes the member dead in the eyes of the others. */
void flow__fake_dir_kill(struct fake_dir *dir);

/*
 * One member at a time uses the tables, by a lock on the file, which the kernel
 * releases with the process.  A member that keeps it is waited for no longer
 * than a second in all: without the lock members that tell the truth may get in
 * each other's way, but nothing worse happens.
 */
void flow__fake_lock(struct fake_dir *dir);
void flow__fake_unlock(struct fake_dir *dir);

#endif
