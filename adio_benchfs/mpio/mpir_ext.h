/*
 * mpir_ext.h - what ROMIO asks of MPICH's inside, for a ROMIO that lives outside of MPICH.
 *
 * In MPICH a header of this name declares functions of the MPI library that it does not export.
 * libbenchfs_mpio has its own, in section.c, glue.c, errors.c and iscontig.c,
 * made of public MPI calls.
 */
#ifndef BENCHFS_MPIR_EXT_H_INCLUDED
#define BENCHFS_MPIR_EXT_H_INCLUDED

#include <assert.h>

#define MPIR_Ext_assert(condition) assert(condition)

int MPIR_Ext_init(void);
void MPIR_Ext_cs_enter(void);
void MPIR_Ext_cs_exit(void);
int MPIR_Ext_datatype_iscommitted(MPI_Datatype datatype);

#endif /* BENCHFS_MPIR_EXT_H_INCLUDED */
