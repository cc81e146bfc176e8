/*
 * section.h - the critical section around ROMIO's functions, and how it is left for a while.
 */
#ifndef BENCHFS_MPIO_SECTION_H_INCLUDED
#define BENCHFS_MPIO_SECTION_H_INCLUDED

/* Leaves the section, however often this thread has entered it, and returns how often. */
int mpio_section_leave(void);
void mpio_section_return(int depth);

#endif /* BENCHFS_MPIO_SECTION_H_INCLUDED */
