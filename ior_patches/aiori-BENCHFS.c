/*
 * aiori-BENCHFS.c - the BenchFS backend of IOR, mdtest and md-workbench: -a BENCHFS.
 *
 * Compiled within an IOR source tree, 4.0.0 or newer, into which `add_to_ior` puts it. It needs
 * nothing of BenchFS but benchfs.h and libbenchfs_core.
 *
 * Every process has one session with the cluster, from initialize to finalize. It is kept here and
 * not with the options, because AIORI's mknod is not given any; and counted, because a program that
 * uses IOR as a library (IO500) initializes a backend around runs that initialize it again.
 *
 * Paths are those of BenchFS, with or without "benchfs:" before them. Calls that return a status
 * return -1 and set errno. As in the POSIX backend, a file that cannot be opened ends the program.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <benchfs.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "aiori.h"
#include "ior.h"
#include "iordef.h"
#include "utilities.h"

typedef struct {
  char* cluster;  /* NULL or "": what the environment names */
  uint64_t chunk; /* bytes; 0: the cluster's default */
} benchfs_options_t;

static struct {
  benchfs_t* fs;
  char* cluster; /* as it was given, "" if it was not */
  int users;     /* calls of initialize without their finalize */
} session;

static aiori_xfer_hint_t* hints;

/* ---- options -----------------------------------------------------------------------------------
 */

static option_help* BENCHFS_Options(aiori_mod_opt_t** backend_options, aiori_mod_opt_t* values) {
  benchfs_options_t* o = safeMalloc(sizeof(*o));
  if (values != NULL) {
    memcpy(o, values, sizeof(*o));
  } else {
    memset(o, 0, sizeof(*o));
  }
  *backend_options = (aiori_mod_opt_t*)o;

  const option_help table[] = {
      {0, "benchfs.cluster",
       "Registry directory or server list \"host:port,...\" (default: from the environment)",
       OPTION_OPTIONAL_ARGUMENT, 's', &o->cluster},
      {0, "benchfs.chunk",
       "Striping unit of new files: a power of two, 64k to 128m (0: the cluster's)",
       OPTION_OPTIONAL_ARGUMENT, 'u', &o->chunk},
      LAST_OPTION};
  option_help* help = safeMalloc(sizeof(table));
  memcpy(help, table, sizeof(table));
  return help;
}

static int BENCHFS_CheckParams(aiori_mod_opt_t* options) {
  const uint64_t chunk = ((benchfs_options_t*)options)->chunk;
  const uint64_t least = 64 << 10, most = 128 << 20;
  if (chunk != 0 && (chunk < least || chunk > most || (chunk & (chunk - 1)) != 0)) {
    ERRF("--benchfs.chunk: %lld is no power of two from 64k to 128m", (long long)chunk);
    return 1;
  }
  return 0;
}

static void BENCHFS_XferHints(aiori_xfer_hint_t* given) {
  hints = given;
}

/* IOR gives its hints only after initialize. */
static int dry_run(void) {
  return hints != NULL && hints->dryRun;
}

/* ---- the session -------------------------------------------------------------------------------
 */

static void BENCHFS_Initialize(aiori_mod_opt_t* options) {
  const char* cluster = ((benchfs_options_t*)options)->cluster;
  if (cluster == NULL) cluster = "";
  if (session.users > 0) {
    if (strcmp(cluster, session.cluster) != 0) {
      ERRF(
          "--benchfs.cluster=%s: this process uses the cluster \"%s\" already, and can use only "
          "one "
          "at a time",
          cluster, session.cluster);
    }
    session.users++;
    return;
  }
  if (benchfs_connect(*cluster == '\0' ? NULL : cluster, &session.fs) != 0) {
    ERRF("cannot connect to BenchFS: %s", benchfs_error());
  }
  session.cluster = strdup(cluster);
  session.users = 1;
}

static void BENCHFS_Finalize(aiori_mod_opt_t* options) {
  if (session.users == 0 || --session.users > 0) return;
  if (benchfs_disconnect(session.fs) != 0) {
    WARNF("cannot leave BenchFS: %s", benchfs_error());
  }
  free(session.cluster);
  memset(&session, 0, sizeof(session));
}

static char* BENCHFS_Version(void) {
  return (char*)benchfs_version();
}

/* ---- paths and results -------------------------------------------------------------------------
 */

static const char* inside(const char* path) {
  static const char prefix[] = "benchfs:";
  const size_t length = sizeof(prefix) - 1;
  if (strncmp(path, prefix, length) == 0) path += length;
  return *path == '\0' ? "/" : path;
}

static int status_of(int64_t result) {
  if (result >= 0) return 0;
  errno = (int)-result;
  return -1;
}

/* ---- files -------------------------------------------------------------------------------------
 */

/* mdtest reads files back that it has just created to be written, and opens with the O_RDONLY of
 * <fcntl.h>, which is none of AIORI's flags. */
static aiori_fd_t* open_file(const char* path, int aiori_flags, int flags,
                             aiori_mod_opt_t* options) {
  benchfs_file_t* file;
  if (dry_run()) return (aiori_fd_t*)&session; /* IOR takes NULL for an error */
  flags |= (aiori_flags & (IOR_WRONLY | IOR_RDWR)) != 0 ? O_RDWR : O_RDONLY;
  if ((aiori_flags & IOR_EXCL) != 0) flags |= O_EXCL;
  if (benchfs_open(session.fs, inside(path), flags, 0664, ((benchfs_options_t*)options)->chunk,
                   &file) != 0) {
    ERRF("cannot open %s: %s", path, benchfs_error());
    return NULL;
  }
  return (aiori_fd_t*)file;
}

/* IOR_TRUNC is not obeyed, nor is it by the POSIX backend: every rank gives it for one shared file,
 * and with -E the bytes are to stay. What else is in the way of a test, IOR removes before. */
static aiori_fd_t* BENCHFS_Create(char* path, int aiori_flags, aiori_mod_opt_t* options) {
  return open_file(path, aiori_flags | IOR_RDWR, O_CREAT, options);
}

static aiori_fd_t* BENCHFS_Open(char* path, int aiori_flags, aiori_mod_opt_t* options) {
  return open_file(path, aiori_flags, (aiori_flags & IOR_CREAT) != 0 ? O_CREAT : 0, options);
}

static int BENCHFS_Mknod(char* path) {
  benchfs_file_t* file;
  if (dry_run()) return 0;
  const int made =
      benchfs_open(session.fs, inside(path), O_CREAT | O_EXCL | O_WRONLY, 0664, 0, &file);
  if (made != 0) {
    WARNF("cannot make the file %s: %s", path, benchfs_error());
    return status_of(made);
  }
  return status_of(benchfs_close(file));
}

static void BENCHFS_Fsync(aiori_fd_t* fd, aiori_mod_opt_t* options) {
  if (dry_run()) return;
  benchfs_file_t* file = (benchfs_file_t*)fd;
  if (benchfs_sync(file) != 0) {
    WARNF("cannot sync %s: %s", benchfs_path(file), benchfs_error());
  }
}

/* Also of files that are closed, which is when mdtest asks for it. */
static void BENCHFS_Sync(aiori_mod_opt_t* options) {
  if (dry_run()) return;
  if (benchfs_sync_all(session.fs) != 0) {
    ERRF("cannot sync: %s", benchfs_error());
  }
}

/* The bytes moved; IOR and mdtest tell that there are too few. Nothing is repeated here: a short
 * read is the end of the file, and a write is never short. */
static IOR_offset_t BENCHFS_Xfer(int access, aiori_fd_t* fd, IOR_size_t* buffer, IOR_offset_t bytes,
                                 IOR_offset_t offset, aiori_mod_opt_t* options) {
  if (dry_run()) return bytes;
  benchfs_file_t* file = (benchfs_file_t*)fd;
  const int64_t moved = access == WRITE
                            ? benchfs_pwrite(file, buffer, (size_t)bytes, (uint64_t)offset)
                            : benchfs_pread(file, buffer, (size_t)bytes, (uint64_t)offset);
  if (moved < 0) {
    WARNF("%s", benchfs_error());
    return 0;
  }
  if (moved < bytes) {
    WARNF("%s ends after %lld of %lld bytes that were to be read from offset %lld on",
          benchfs_path(file), (long long)moved, (long long)bytes, (long long)offset);
  }
  if (access == WRITE && hints != NULL && hints->fsyncPerWrite) BENCHFS_Fsync(fd, options);
  return moved;
}

static void BENCHFS_Close(aiori_fd_t* fd, aiori_mod_opt_t* options) {
  if (dry_run()) return;
  if (benchfs_close((benchfs_file_t*)fd) != 0) {
    ERRF("cannot close a file: %s", benchfs_error());
  }
}

static void BENCHFS_Remove(char* path, aiori_mod_opt_t* options) {
  if (dry_run()) return;
  if (benchfs_unlink(session.fs, inside(path)) != 0) {
    WARNF("cannot remove %s: %s", path, benchfs_error());
  }
}

/* ---- names -------------------------------------------------------------------------------------
 */

static int BENCHFS_Stat(const char* path, struct stat* out, aiori_mod_opt_t* options) {
  struct benchfs_stat st;
  if (dry_run()) return 0;
  const int found = benchfs_stat(session.fs, inside(path), &st);
  if (found != 0) return status_of(found);
  const int64_t second = 1000000000;
  memset(out, 0, sizeof(*out));
  out->st_ino = st.inode;
  out->st_mode = st.mode;
  out->st_nlink = st.nlink;
  out->st_uid = st.uid;
  out->st_gid = st.gid;
  out->st_size = (off_t)st.size;
  out->st_blksize = st.chunk_bytes != 0 ? (blksize_t)st.chunk_bytes : 4096;
  out->st_blocks = (blkcnt_t)((st.size + 511) / 512);
  out->st_atim = (struct timespec){st.atime_ns / second, st.atime_ns % second};
  out->st_mtim = (struct timespec){st.mtime_ns / second, st.mtime_ns % second};
  out->st_ctim = (struct timespec){st.ctime_ns / second, st.ctime_ns % second};
  return 0;
}

static IOR_offset_t BENCHFS_GetFileSize(aiori_mod_opt_t* options, char* path) {
  struct benchfs_stat st;
  if (dry_run()) return 0;
  if (benchfs_stat(session.fs, inside(path), &st) != 0) {
    ERRF("cannot tell the size of %s: %s", path, benchfs_error());
    return -1;
  }
  return (IOR_offset_t)st.size;
}

/* Modes keep BenchFS's one user from nothing: what exists can be accessed in every `mode`. */
static int BENCHFS_Access(const char* path, int mode, aiori_mod_opt_t* options) {
  struct benchfs_stat st;
  if (dry_run()) return 0;
  return status_of(benchfs_stat(session.fs, inside(path), &st));
}

/* Makes the directories above that are missing, too: nobody can make them beforehand with a shell's
 * mkdir, as with a file system that is mounted. Other ranks may be doing the same. */
static int make_directory(char* path, uint32_t mode) {
  const int made = benchfs_mkdir(session.fs, path, mode);
  if (made != -ENOENT) return made;
  size_t end = strlen(path);
  while (end > 0 && path[end - 1] == '/') end--;
  while (end > 0 && path[end - 1] != '/') end--;
  while (end > 0 && path[end - 1] == '/') end--;
  if (end == 0) return made;
  const char slash = path[end];
  path[end] = '\0';
  const int above = make_directory(path, mode);
  path[end] = slash;
  if (above != 0 && above != -EEXIST) return above;
  return benchfs_mkdir(session.fs, path, mode);
}

static int BENCHFS_Mkdir(const char* path, mode_t mode, aiori_mod_opt_t* options) {
  if (dry_run()) return 0;
  char* copy = strdup(inside(path));
  const int made = make_directory(copy, mode);
  free(copy);
  return status_of(made);
}

#ifdef BENCHFS_RENAME_NOREPLACE /* benchfs.h has benchfs_rename() */
static int BENCHFS_Rename(const char* from, const char* to, aiori_mod_opt_t* options) {
  if (dry_run()) return 0;
  const int renamed = benchfs_rename(session.fs, inside(from), inside(to), 0);
  if (renamed != 0) {
    WARNF("cannot rename %s to %s: %s", from, to, benchfs_error());
  }
  return status_of(renamed);
}
#endif

static int BENCHFS_Rmdir(const char* path, aiori_mod_opt_t* options) {
  if (dry_run()) return 0;
  return status_of(benchfs_rmdir(session.fs, inside(path)));
}

/* Of the whole file system, the same for every path. */
static int BENCHFS_Statfs(const char* path, ior_aiori_statfs_t* out, aiori_mod_opt_t* options) {
  struct benchfs_statfs space;
  if (dry_run()) return 0;
  const int told = benchfs_statfs(session.fs, &space);
  if (told != 0) {
    WARNF("cannot tell the space of the file system: %s", benchfs_error());
    return status_of(told);
  }
  memset(out, 0, sizeof(*out));
  out->f_bsize = space.block_bytes;
  out->f_blocks = space.total_bytes / space.block_bytes;
  out->f_bfree = space.free_bytes / space.block_bytes;
  out->f_bavail = space.available_bytes / space.block_bytes;
  out->f_files = space.files + space.free_files;
  out->f_ffree = space.free_files;
  return 0;
}

ior_aiori_t benchfs_aiori = {
    .name = "BENCHFS",
    .name_legacy = NULL,
    .create = BENCHFS_Create,
    .mknod = BENCHFS_Mknod,
    .open = BENCHFS_Open,
    .xfer_hints = BENCHFS_XferHints,
    .xfer = BENCHFS_Xfer,
    .close = BENCHFS_Close,
    /* The member after `close`, which 4.0.0 calls `delete` and later versions `remove`. */
    BENCHFS_Remove,
    .get_version = BENCHFS_Version,
    .fsync = BENCHFS_Fsync,
    .get_file_size = BENCHFS_GetFileSize,
    .statfs = BENCHFS_Statfs,
    .mkdir = BENCHFS_Mkdir,
    .rmdir = BENCHFS_Rmdir,
#ifdef BENCHFS_RENAME_NOREPLACE
    .rename = BENCHFS_Rename,
#endif
    .access = BENCHFS_Access,
    .stat = BENCHFS_Stat,
    .initialize = BENCHFS_Initialize,
    .finalize = BENCHFS_Finalize,
    .get_options = BENCHFS_Options,
    .check_params = BENCHFS_CheckParams,
    .sync = BENCHFS_Sync,
    .enable_mdtest = true,
};
