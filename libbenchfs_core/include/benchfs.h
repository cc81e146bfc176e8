/*
 * benchfs.h - the public C interface of BenchFS: an ad-hoc parallel file system for HPC jobs.
 *
 * Conventions, for every call unless its own text says otherwise
 * --------------------------------------------------------------
 * Errors      A call returns 0 (or a count) on success and a negative errno value on failure. After a
 *             failure benchfs_error() gives the calling thread one line that names the operation, the
 *             path, the server and the cause.
 * Time        Every call ends: at the latest after the session's `deadline_ms` (default 30 s) with
 *             -ETIMEDOUT, or earlier with -EHOSTUNREACH when a server it needs is dead.
 * Threads     All calls may be made by any thread. Calls on one session exclude each other (one lock
 *             per session); different sessions are independent.
 * Units       Offsets, sizes and lengths are bytes; times are nanoseconds since the epoch.
 * Paths       Absolute within the file system. A missing leading slash is supplied, repeated slashes
 *             and "." count as one, a slash at the end is dropped, ".." never leaves the root. A
 *             component is at most 255 bytes, a path at most 4095. Symbolic links are followed wherever
 *             they stand, at most 40 in one path (-ELOOP); at the end of a path they are not by the
 *             calls that remove, make or read a link, as their text says. A call on a path can give
 *             -ENOENT, -ENOTDIR (something on the way is no directory), -ENAMETOOLONG and -ELOOP.
 * Permissions A file system belongs to one user, as whom every session acts. Modes, owners and groups
 *             are kept and shown; they do not keep that user from anything. A `mode` that a call takes
 *             is used as it is: the umask is the caller's affair.
 * Visibility  When a write returns, its bytes are seen by every later read of every client. They are on
 *             the device only after benchfs_sync(). A file's size as others see it includes a write at
 *             the latest after the writer's benchfs_sync(), benchfs_close() or size query.
 */
#ifndef BENCHFS_H
#define BENCHFS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif
#ifdef __GNUC__ /* benchfs_stat and the like are each a struct and a function */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
#endif

#define BENCHFS_VERSION_MAJOR 0
#define BENCHFS_VERSION_MINOR 1

#define BENCHFS_API __attribute__((visibility("default")))

/* One session: a connection of this process to one BenchFS cluster. */
typedef struct benchfs_fs benchfs_t;
/* One open file of one session. */
typedef struct benchfs_file benchfs_file_t;
/* One directory that is being listed. */
typedef struct benchfs_dir benchfs_dir_t;
/* One nonblocking operation in flight. */
typedef struct benchfs_request benchfs_request_t;

/* ---- sessions -------------------------------------------------------------------------------- */

/* Open a session. `cluster` names the file system: a registry directory ("/shared/dir"), or a comma
 * separated list "host:port,host:port" of any of its servers. NULL: the environment decides
 * (BENCHFS_SERVERS, else BENCHFS_REGISTRY, else the registry that `benchfs start` made for this user).
 * All other settings come from BENCHFS_CONFIG (a YAML file) and BENCHFS_* variables; see
 * docs/configuration.md. Reads the cluster file, but contacts a server for I/O only when one is needed.
 * Errors: -ENOENT (no cluster there), -ESTALE (only remains of an earlier run), -EACCES (no proof of
 * the job's secret), -EINVAL (a bad setting), -EHOSTUNREACH. */
BENCHFS_API int benchfs_connect(const char *cluster, benchfs_t **fs);

/* Close a session. Every file and directory must be closed and every request completed: else -EBUSY and nothing
 * happens. */
BENCHFS_API int benchfs_disconnect(benchfs_t *fs);

/* Text of the calling thread's last failed call; "" if there was none. Valid until its next failure. */
BENCHFS_API const char *benchfs_error(void);

/* "0.1.0" */
BENCHFS_API const char *benchfs_version(void);

/* ---- files ----------------------------------------------------------------------------------- */

struct benchfs_stat {
    uint64_t inode;        /* unique in the cluster, never reused */
    uint64_t size;         /* bytes */
    uint64_t chunk_bytes;  /* striping unit; 0 of what is no file */
    uint32_t mode;         /* S_IFREG, S_IFDIR or S_IFLNK, and permissions */
    uint32_t nlink;        /* names of a file; 2 of every directory */
    uint32_t uid;
    uint32_t gid;
    int64_t atime_ns;      /* not changed by reads */
    int64_t mtime_ns;      /* of a directory: not changed by its entries */
    int64_t ctime_ns;
};

/* Open `path`. `flags`, of <fcntl.h>: O_RDONLY, O_WRONLY or O_RDWR, and
 *   O_CREAT, O_EXCL, O_TRUNC  as usual; O_TRUNC only with write access;
 *   O_APPEND     each benchfs_write() and benchfs_writev() goes to the end of the file;
 *   O_NOFOLLOW   -ELOOP if the last name is a symbolic link;
 *   O_DIRECTORY  opens a directory, for benchfs_fstat, benchfs_fchmod, benchfs_fchown, benchfs_futimens,
 *                benchfs_sync (all entries made and removed before are on the devices), benchfs_flock and
 *                benchfs_close; reads give -EISDIR. -ENOTDIR: it is none. -EISDIR with write access.
 *                -EINVAL with O_CREAT. A directory is opened in no other way: -EISDIR without the flag;
 *   O_DSYNC, O_SYNC  each write also does what benchfs_datasync() or benchfs_sync() does;
 *   O_LARGEFILE, O_CLOEXEC, O_NOATIME, O_NOCTTY, O_NONBLOCK  change nothing.
 * Others are refused with -EINVAL. `mode`: permissions of a file that is created (the umask is the
 * caller's affair). `chunk_bytes`: striping unit of a file that is created, a power of two from 64 KiB to
 * 128 MiB; 0 means the cluster's default; ignored when the file exists. -EDQUOT: see quotas. */
BENCHFS_API int benchfs_open(benchfs_t *fs, const char *path, int flags, uint32_t mode,
                             uint64_t chunk_bytes, benchfs_file_t **file);

/* Close `file` and free it, also when an error is returned. All its requests must have completed
 * (-EBUSY, and the file stays open, if not). Tells the file's home server the size that was written. With
 * the last close, or the end of the session, a file that has no name any more goes; its space is free soon
 * after, that of small files that others have unlinked at the latest with this session's next call that is
 * made a second later. */
BENCHFS_API int benchfs_close(benchfs_file_t *file);

/* Scalable open: one process opens, the others get its handle (a broadcast) and need no server to use
 * it. benchfs_export writes at most BENCHFS_HANDLE_BYTES to `handle` and returns the number. The blob is
 * valid in every session with the same cluster. `flags` of benchfs_import: access mode only. A file that
 * loses its last name stays for the importers as long as the exporter has it open; then -ESTALE. */
#define BENCHFS_HANDLE_BYTES 4352
BENCHFS_API int benchfs_export(benchfs_file_t *file, void *handle, size_t capacity);
BENCHFS_API int benchfs_import(benchfs_t *fs, const void *handle, size_t bytes, int flags,
                               benchfs_file_t **file);
/* The same for closes: one process tells the file's home how far all have written. benchfs_take_size takes
 * that duty from `file`, which is closed next: 1, and in *end the end of its farthest write, or 0 if there is
 * nothing to tell. The process that exported the file gets the largest of these, and at its next
 * benchfs_flush_size, benchfs_sync or benchfs_close the home is told. Until then others do not see the size. */
BENCHFS_API int benchfs_take_size(benchfs_file_t *file, uint64_t *end);
BENCHFS_API void benchfs_give_size(benchfs_file_t *file, uint64_t end);

/* Remove a name of a file, or of a symbolic link itself. -EISDIR: a directory, see benchfs_rmdir. With
 * its last name the file goes, unless sessions have it open: they can use it as before (benchfs_fstat
 * shows nlink 0) until they close it, end or die. -ESTALE or -EHOSTUNREACH of an open file: its home server
 * was stopped or died meanwhile, and such files did not survive that. */
BENCHFS_API int benchfs_unlink(benchfs_t *fs, const char *path);
/* -EEXIST: there is something of that name; -EDQUOT: see quotas. */
BENCHFS_API int benchfs_mkdir(benchfs_t *fs, const char *path, uint32_t mode);
/* Attributes of what `path` leads to; benchfs_lstat: of a symbolic link itself. */
BENCHFS_API int benchfs_stat(benchfs_t *fs, const char *path, struct benchfs_stat *st);
BENCHFS_API int benchfs_lstat(benchfs_t *fs, const char *path, struct benchfs_stat *st);
BENCHFS_API int benchfs_fstat(benchfs_file_t *file, struct benchfs_stat *st);
BENCHFS_API int benchfs_truncate(benchfs_t *fs, const char *path, uint64_t size);
BENCHFS_API int benchfs_ftruncate(benchfs_file_t *file, uint64_t size);
/* Make the file at least `size` bytes long; never shortens. New bytes read as zeros. */
BENCHFS_API int benchfs_extend(benchfs_file_t *file, uint64_t size);
/* Data and metadata of every write that this session finished on `file` are on the devices of all
 * servers involved when this returns 0; and the file's size is up to date for every client. */
BENCHFS_API int benchfs_sync(benchfs_file_t *file);
/* The same, without what is not needed to read the data again: changes of mode, owner and times alone
 * are not waited for. */
BENCHFS_API int benchfs_datasync(benchfs_file_t *file);
/* Every change that was finished before this call, of data and of names, by any session, is on the
 * devices of all servers when this returns 0; and the sizes of this session's files are up to date. Sizes
 * that other sessions have not told yet are theirs to sync. A server syncs the whole file system that its
 * data directory is on: for the end of a phase, not for one file. -EHOSTUNREACH: a server is dead. */
BENCHFS_API int benchfs_sync_all(benchfs_t *fs);
/* Tell the home server the size that this session's writes have reached; no device is waited for. */
BENCHFS_API int benchfs_flush_size(benchfs_file_t *file);

/* The path that the file was opened with, in canonical form. Lives as long as `file`. */
BENCHFS_API const char *benchfs_path(const benchfs_file_t *file);
BENCHFS_API benchfs_t *benchfs_session(const benchfs_file_t *file);
BENCHFS_API uint64_t benchfs_chunk_bytes(const benchfs_file_t *file);

/* ---- directories, links, attributes ---------------------------------------------------------- */

/* Remove an empty directory. All servers are asked, as each may have entries of it. Errors: -ENOTEMPTY;
 * -ENOTDIR (also for a symbolic link); -EBUSY for the root, or while it is being removed by another
 * call; -EHOSTUNREACH if any server is: then the directory stays. */
BENCHFS_API int benchfs_rmdir(benchfs_t *fs, const char *path);

/* Give what `from` names, of any kind, the name `to`, in any directory. What has that name already goes
 * in the same step: at every moment `to` names the old thing or the new one. It must be of the same kind
 * (-EISDIR, -ENOTDIR), a directory empty (-ENOTEMPTY). Symbolic links at the end of a path are renamed
 * and replaced themselves. Nothing happens if both names are of one file. `flags`: 0, or one of
 * BENCHFS_RENAME_NOREPLACE (-EEXIST if there is something of that name) and BENCHFS_RENAME_EXCHANGE (the
 * two, of any kind, change places; -ENOENT if one is missing). Errors: -EINVAL (a directory below
 * itself); -EBUSY for the root, and if others keep it from its turn; -EHOSTUNREACH, -ETIMEDOUT: a server
 * that has a part in it died, and it will be completed or undone once that one is back; until then the
 * old name is held (-EBUSY of what would change it). -EXDEV: see quotas. Open files are not affected. */
#define BENCHFS_RENAME_NOREPLACE 1u
#define BENCHFS_RENAME_EXCHANGE 2u
BENCHFS_API int benchfs_rename(benchfs_t *fs, const char *from, const char *to, unsigned flags);

/* Give the file or symbolic link `from` one more name. Its data goes with the last of them. -EPERM: a
 * directory; -EEXIST: there is something of the name `to`; -EXDEV: see quotas; -EHOSTUNREACH, -ETIMEDOUT as
 * benchfs_rename. */
BENCHFS_API int benchfs_link(benchfs_t *fs, const char *from, const char *to);

/* List a directory:
 *     benchfs_dir_t *dir;
 *     struct benchfs_dirent entry;
 *     int got = benchfs_opendir(fs, "/d", 0, &dir);
 *     if (got == 0) {
 *         while ((got = benchfs_readdir(dir, &entry)) == 1) puts(entry.name);
 *         benchfs_closedir(dir);
 *     }
 * benchfs_readdir gives 1 and the next entry, 0 at the end, or a negative errno, after which it can be
 * called again and goes on. Entries come in no order, without "." and "..". One that exists from
 * benchfs_opendir to the end is given exactly once, whatever is made and removed meanwhile; one that is
 * made or removed meanwhile is given once or not at all. Memory: at most 16 pages of 32 KiB. */
struct benchfs_dirent {
    uint64_t inode;
    uint32_t type;     /* S_IFREG, S_IFDIR or S_IFLNK */
    uint32_t has_stat; /* 1: `stat` is filled; 0: not asked for, or it was removed in between */
    uint32_t fits;     /* benchfs_opendir_match alone: 0 of a directory that is given all the same */
    uint32_t zero;
    struct benchfs_stat stat; /* of a symbolic link: of itself */
    char name[256];
};
/* Give the attributes with the entries. */
#define BENCHFS_DIR_STAT 1
/* `flags`: 0 or BENCHFS_DIR_STAT. Errors: -ENOTDIR, -ENOENT. */
BENCHFS_API int benchfs_opendir(benchfs_t *fs, const char *path, int flags, benchfs_dir_t **directory);
BENCHFS_API int benchfs_readdir(benchfs_dir_t *directory, struct benchfs_dirent *entry);

/* List only the entries that fit: they are looked for by the servers, each among its own entries, all at the
 * same time, so that what does not fit costs next to nothing. All conditions have to hold; bounds are
 * inclusive. Begin with BENCHFS_MATCH_ANY, and change what matters:
 *     struct benchfs_match match = BENCHFS_MATCH_ANY;
 *     match.types = BENCHFS_MATCH_FILES;
 *     match.name = "*01*";
 *     match.size_min = match.size_max = 3901;
 *     int got = benchfs_opendir_match(fs, "/d", &match, 0, &dir);
 * Sizes that other sessions have not told yet (see Visibility above) are not known to the servers. */
struct benchfs_match {
    const char *name;          /* a pattern of fnmatch(3), at most 1024 bytes; NULL: any name */
    const char *any_case_name; /* the same, in capitals or not */
    uint64_t size_min, size_max;
    int64_t mtime_min_ns, mtime_max_ns;
    uint32_t types; /* of BENCHFS_MATCH_FILES and so on, several together; 0: any */
    uint32_t zero;
};
#define BENCHFS_MATCH_ANY {NULL, NULL, 0, UINT64_MAX, INT64_MIN, INT64_MAX, 0, 0}
#define BENCHFS_MATCH_FILES 1u
#define BENCHFS_MATCH_DIRECTORIES 2u
#define BENCHFS_MATCH_LINKS 4u
/* Files of 0 bytes, and directories, whether they have entries or not. */
#define BENCHFS_MATCH_EMPTY 8u
/* Also directories that do not fit, to go on in; their `fits` is 0. */
#define BENCHFS_DIR_DESCEND 2
/* `flags`: 0, or of BENCHFS_DIR_STAT and BENCHFS_DIR_DESCEND (attributes are given with what fits).
 * Errors: as benchfs_opendir; -ENAMETOOLONG: a pattern; -EINVAL. */
BENCHFS_API int benchfs_opendir_match(benchfs_t *fs, const char *path, const struct benchfs_match *match,
                                      int flags, benchfs_dir_t **directory);
/* Entries that were looked at so far for such a listing. */
BENCHFS_API uint64_t benchfs_dir_seen(const benchfs_dir_t *directory);

/* Frees `directory`. */
BENCHFS_API int benchfs_closedir(benchfs_dir_t *directory);

/* Make a symbolic link `path` to `target`: 1 to 3840 bytes (-ENOENT, -ENAMETOOLONG) that are not looked
 * at until the link is followed. -EEXIST: there is something of that name; -EDQUOT: see quotas. */
BENCHFS_API int benchfs_symlink(benchfs_t *fs, const char *target, const char *path);
/* The target of the symbolic link `path`, not terminated by a zero: bytes put into `target`, at most
 * `capacity`. -EINVAL: it is not a symbolic link. */
BENCHFS_API int64_t benchfs_readlink(benchfs_t *fs, const char *path, char *target, size_t capacity);

/* For `flags` of the calls that take it: change a symbolic link itself. */
#define BENCHFS_NOFOLLOW 1
/* Every change of attributes sets the change time (ctime) to now. The forms with an f work on an open file
 * or directory, also if it was opened for reading. */
BENCHFS_API int benchfs_chmod(benchfs_t *fs, const char *path, uint32_t mode);
BENCHFS_API int benchfs_fchmod(benchfs_file_t *file, uint32_t mode);
/* UINT32_MAX: unchanged. -EPERM: another owner, or a group of which the user is no member. */
BENCHFS_API int benchfs_chown(benchfs_t *fs, const char *path, uint32_t uid, uint32_t gid, int flags);
BENCHFS_API int benchfs_fchown(benchfs_file_t *file, uint32_t uid, uint32_t gid);
/* Set access and modification time. Writes of this session on open files count as made before it; those
 * of other sessions when they tell the file's size, at the latest when they close it. */
#define BENCHFS_TIME_NOW INT64_MAX  /* by the clock of the file's home server */
#define BENCHFS_TIME_OMIT INT64_MIN /* unchanged */
BENCHFS_API int benchfs_utimens(benchfs_t *fs, const char *path, int64_t atime_ns, int64_t mtime_ns,
                                int flags);
BENCHFS_API int benchfs_futimens(benchfs_file_t *file, int64_t atime_ns, int64_t mtime_ns);
/* Whether what `path` leads to is there and may be used as `mode` says: F_OK, or R_OK, W_OK and X_OK of
 * <unistd.h> together. As permissions are not enforced, all may be read, written and searched; only X_OK
 * of a file without any execute permission gives -EACCES. `flags`: 0 or BENCHFS_NOFOLLOW. */
BENCHFS_API int benchfs_access(benchfs_t *fs, const char *path, int mode, int flags);

/* ---- extended attributes --------------------------------------------------------------------- */

/* Small values that belong to a file or directory and stay with it, as xattr(7) describes them. A name
 * begins with "user." and has at most 255 bytes, a value at most 65536, all names of a file together at
 * most 65536. Errors of every call: -ERANGE (a name that is empty or too long), -EOPNOTSUPP (a name of
 * another namespace, such as "trusted."), -EINVAL (nothing after "user."; unknown flags). `flags`: 0 or
 * BENCHFS_NOFOLLOW, for a symbolic link itself, which has no extended attributes. Example:
 *     char value[256];
 *     int error = benchfs_setxattr(fs, "/result", "user.run", "17", 2, BENCHFS_XATTR_CREATE);
 *     int64_t bytes = benchfs_getxattr(fs, "/result", "user.run", value, sizeof(value), 0);
 */
/* The value's bytes, put into `value`, not terminated by a zero. capacity 0: the length alone. -ENODATA:
 * there is no such attribute; -ERANGE: the value is longer than `capacity`. */
BENCHFS_API int64_t benchfs_getxattr(benchfs_t *fs, const char *path, const char *name, void *value,
                                     size_t capacity, int flags);
/* For `flags`: fail with -EEXIST if the attribute is there; with -ENODATA if it is not. */
#define BENCHFS_XATTR_CREATE 2
#define BENCHFS_XATTR_REPLACE 4
/* -E2BIG: the value is too long; -ENOSPC: no room for another name; -EPERM: a symbolic link. Sets the
 * change time, as benchfs_removexattr does. */
BENCHFS_API int benchfs_setxattr(benchfs_t *fs, const char *path, const char *name, const void *value,
                                 size_t bytes, int flags);
/* The names of all attributes, each with a zero behind it, in `names`: their bytes. capacity 0: their
 * length alone. -ERANGE: they are longer than `capacity`. */
BENCHFS_API int64_t benchfs_listxattr(benchfs_t *fs, const char *path, char *names, size_t capacity,
                                      int flags);
/* -ENODATA: there is no such attribute. */
BENCHFS_API int benchfs_removexattr(benchfs_t *fs, const char *path, const char *name, int flags);

/* ---- quotas ---------------------------------------------------------------------------------- */

/* A directory can have a quota: limits for the storage that files below it take together, and for their
 * number. Storage is counted as benchfs_statfs() counts it, in allocated blocks: holes take nothing, and
 * overwriting takes nothing more. Files of every kind count, directories and symbolic links too, but not
 * the directory that has the quota; a file with several names counts once. What does not fit is refused
 * with -EDQUOT before anything of it is done (of a large write: on the server that has no room), which can
 * happen in benchfs_open with O_CREAT, benchfs_mkdir, benchfs_symlink, benchfs_fallocate, and every write.
 * Reading, overwriting, truncating and removing always go on. A file or directory counts for the same
 * quota all its life: benchfs_rename and benchfs_link between directories that differ in it give -EXDEV,
 * and what is moved there has to be copied. Of a quota below another one only the nearer counts.
 * Limits are met exactly, but for what the servers' file systems allocate of their own accord. If the
 * server that keeps the quotas (that of the root directory) is dead, files below a quota can grow by what
 * the others were given before; then -EHOSTUNREACH. */
struct benchfs_quota {
    uint64_t id;          /* 1 to 1023; of all that counts for it */
    uint64_t bytes_limit; /* 0: none */
    uint64_t files_limit; /* 0: none */
    uint64_t bytes_used;
    uint64_t files_used;
};
/* For benchfs_quota_set: a limit that stays as it is. */
#define BENCHFS_QUOTA_KEEP UINT64_MAX
/* Give a directory a quota, or change the limits of the one it has; 0: no such limit. The first time it has
 * to be empty (-ENOTEMPTY), and is replaced by another one of the same name and attributes. Limits may be
 * lower than what is used: then nothing more is taken. To lower one all servers have to answer. Errors:
 * -ENOTDIR; -EINVAL: no limit is given; -EBUSY: the root; -ENOSPC: 1023 directories have one.
 *     if (benchfs_quota_set(fs, "/scratch", 10ull << 30, 100000) != 0) puts(benchfs_error()); */
BENCHFS_API int benchfs_quota_set(benchfs_t *fs, const char *path, uint64_t bytes_limit,
                                  uint64_t files_limit);
/* The quota that `path` counts for, which all servers are asked for. -ENODATA: none. */
BENCHFS_API int benchfs_quota_get(benchfs_t *fs, const char *path, struct benchfs_quota *quota);
/* No limits any more for what is below the directory. It still counts by itself, and can be given limits
 * again while there are files in it. -ENODATA: it has no quota of its own. */
BENCHFS_API int benchfs_quota_remove(benchfs_t *fs, const char *path);

/* ---- data ------------------------------------------------------------------------------------ */

/* Bytes moved, or a negative errno. A read is short only at the end of the file; holes read as zeros.
 * A write is never short: all or an error (-EIO, ...), after which the range's content is undefined.
 * -ENOSPC, -EDQUOT: a server, or the quota, has no room for its part; of each of the requests that the
 * write was sent in (`rpc_bytes_max`), all was done or nothing. */
BENCHFS_API int64_t benchfs_pread(benchfs_file_t *file, void *buffer, size_t bytes, uint64_t offset);
BENCHFS_API int64_t benchfs_pwrite(benchfs_file_t *file, const void *buffer, size_t bytes,
                                   uint64_t offset);

/* The same with `n_memory` segments of memory instead of one, at most IOV_MAX (-EINVAL). */
BENCHFS_API int64_t benchfs_preadv(benchfs_file_t *file, const struct iovec *memory, int n_memory,
                                   uint64_t offset);
BENCHFS_API int64_t benchfs_pwritev(benchfs_file_t *file, const struct iovec *memory, int n_memory,
                                    uint64_t offset);

/* The same at the file's position, which then stands behind what was moved. Each benchfs_file_t has its
 * own, 0 at first; calls of several threads that use it take turns, each as a whole. With O_APPEND a
 * write first makes the file longer by its length and then fills that place, so that no two of any
 * clients meet; until it returns, a reader may see zeros there, and they stay if it fails. What others
 * have written beyond the end counts once their size is told (see Visibility above). Calls with an offset
 * neither look at O_APPEND nor at the position.
 *     benchfs_lseek(file, 0, SEEK_SET);
 *     while ((got = benchfs_read(file, buffer, sizeof(buffer))) > 0) use(buffer, got); */
BENCHFS_API int64_t benchfs_read(benchfs_file_t *file, void *buffer, size_t bytes);
BENCHFS_API int64_t benchfs_write(benchfs_file_t *file, const void *buffer, size_t bytes);
BENCHFS_API int64_t benchfs_readv(benchfs_file_t *file, const struct iovec *memory, int n_memory);
BENCHFS_API int64_t benchfs_writev(benchfs_file_t *file, const struct iovec *memory, int n_memory);

/* Set the file's position and return it. `whence`: SEEK_SET, SEEK_CUR or SEEK_END of <unistd.h>: `offset`
 * from the start, the position, the end; -EINVAL if the result is negative or beyond 2^62. SEEK_DATA and
 * SEEK_HOLE (with _GNU_SOURCE): to the first byte of data, or of a hole, at or behind `offset`; -ENXIO if
 * that is not before the end of the file, or if no data follows. The end counts as a hole. What is told
 * to be a hole reads as zeros; zeros that were written may count as data or as a hole, as the servers'
 * local file systems have it (holes of 4 KiB are usually told). */
BENCHFS_API int64_t benchfs_lseek(benchfs_file_t *file, int64_t offset, int whence);

/* Storage for `bytes` bytes from `offset` on, on all servers that own a part of them. `mode`:
 *   0                          set storage aside, so that later writes to the range find room; what is
 *                              there stays; the file becomes at least offset + bytes long;
 *   BENCHFS_FALLOC_PUNCH_HOLE  give storage back; the range reads as zeros; the size stays;
 *   BENCHFS_FALLOC_ZERO_RANGE  as 0, but the range reads as zeros;
 * each also with BENCHFS_FALLOC_KEEP_SIZE: the size stays. The values are those of Linux' fallocate().
 * What was set aside beyond the end of the file is given back by a truncate. Errors: -EBADF (not open for
 * writing), -EINVAL (mode, or 0 bytes), -EFBIG, -EOPNOTSUPP (a server's local file system cannot do it),
 * -ENOSPC, -EDQUOT: looked for on all servers before anything is set aside; should it come while that is being
 * done, a part may stay set aside. Not atomic against other writes to the range. The session's deadline
 * is for each step of 1 GiB per server. */
#define BENCHFS_FALLOC_KEEP_SIZE 0x01
#define BENCHFS_FALLOC_PUNCH_HOLE 0x02
#define BENCHFS_FALLOC_ZERO_RANGE 0x10
BENCHFS_API int benchfs_fallocate(benchfs_file_t *file, int mode, uint64_t offset, uint64_t bytes);

/* A piece of a file. */
struct benchfs_extent {
    uint64_t offset;
    uint64_t bytes;
};

/* List I/O: the concatenation of the `n_memory` memory segments is read from or written to the
 * concatenation of the `n_extents` file extents, in that order; both must have the same total
 * (-EINVAL). One message per server and batch, not one per extent. Extents of a write should not
 * overlap (where they do, which one wins is undefined). Result of a read: the bytes of the extents that
 * lie before the end of the file. */
BENCHFS_API int64_t benchfs_read_list(benchfs_file_t *file, const struct benchfs_extent *extents,
                                      size_t n_extents, const struct iovec *memory, size_t n_memory);
BENCHFS_API int64_t benchfs_write_list(benchfs_file_t *file, const struct benchfs_extent *extents,
                                       size_t n_extents, const struct iovec *memory, size_t n_memory);

/* ---- nonblocking ----------------------------------------------------------------------------- */

/* Start the operation and return. Memory (not the extent and iovec arrays, which are copied) belongs to
 * the operation until it has completed. On success *request must be given to benchfs_test or
 * benchfs_wait until it has completed; on failure there is no request. */
BENCHFS_API int benchfs_read_list_start(benchfs_file_t *file, const struct benchfs_extent *extents,
                                        size_t n_extents, const struct iovec *memory, size_t n_memory,
                                        benchfs_request_t **request);
BENCHFS_API int benchfs_write_list_start(benchfs_file_t *file, const struct benchfs_extent *extents,
                                         size_t n_extents, const struct iovec *memory, size_t n_memory,
                                         benchfs_request_t **request);
BENCHFS_API int benchfs_sync_start(benchfs_file_t *file, benchfs_request_t **request);
BENCHFS_API int benchfs_flush_size_start(benchfs_file_t *file, benchfs_request_t **request);
BENCHFS_API int benchfs_open_start(benchfs_t *fs, const char *path, int flags, uint32_t mode,
                                   uint64_t chunk_bytes, benchfs_file_t **file,
                                   benchfs_request_t **request);
BENCHFS_API int benchfs_close_start(benchfs_file_t *file, benchfs_request_t **request);
BENCHFS_API int benchfs_unlink_start(benchfs_t *fs, const char *path, benchfs_request_t **request);
BENCHFS_API int benchfs_mkdir_start(benchfs_t *fs, const char *path, uint32_t mode,
                                    benchfs_request_t **request);
BENCHFS_API int benchfs_stat_start(benchfs_t *fs, const char *path, struct benchfs_stat *st,
                                   benchfs_request_t **request);
BENCHFS_API int benchfs_ftruncate_start(benchfs_file_t *file, uint64_t size,
                                        benchfs_request_t **request);

/* Drive the session once, without blocking. Returns 1 and frees `request` when it has completed, with
 * what the blocking form would have returned in *result (a count, 0, or a negative errno; then
 * benchfs_error() is set for this thread); returns 0 while it is in flight. */
BENCHFS_API int benchfs_test(benchfs_request_t *request, int64_t *result);
/* The same, but sleeps until the request has completed; returns the result and frees the request. */
BENCHFS_API int64_t benchfs_wait(benchfs_request_t *request);
/* Drive the session once, without blocking: 1 if anything happened, else 0. */
BENCHFS_API int benchfs_progress(benchfs_t *fs);

/* ---- coordination ---------------------------------------------------------------------------- */

/* Lock `bytes` bytes from `offset` on (0 bytes: to the end of the largest file), for all sessions that
 * ask: BENCHFS_LOCK_SHARED excludes exclusive locks, BENCHFS_LOCK_EXCLUSIVE all others. Advisory: reads
 * and writes do not look at locks. Waits for its turn, fairly, at most the session's deadline
 * (-ETIMEDOUT). *token stands for the lock; it ends with benchfs_unlock, with the session, or with the
 * process. One session may hold overlapping locks: they exclude each other like those of different
 * sessions. */
#define BENCHFS_LOCK_SHARED 1
#define BENCHFS_LOCK_EXCLUSIVE 2
BENCHFS_API int benchfs_lock(benchfs_file_t *file, uint64_t offset, uint64_t bytes, int mode,
                             uint64_t *token);
BENCHFS_API int benchfs_lock_start(benchfs_file_t *file, uint64_t offset, uint64_t bytes, int mode,
                                   uint64_t *token, benchfs_request_t **request);
BENCHFS_API int benchfs_unlock(benchfs_file_t *file, uint64_t token);
/* The same without waiting: -EWOULDBLOCK (which is -EAGAIN) if another lock stands in the way, held or
 * asked for before. */
BENCHFS_API int benchfs_trylock(benchfs_file_t *file, uint64_t offset, uint64_t bytes, int mode,
                                uint64_t *token);
/* Whether benchfs_trylock() would find a lock in its way: 1, with that lock in *holder, or 0. */
struct benchfs_lock_holder {
    int mode;         /* BENCHFS_LOCK_SHARED or BENCHFS_LOCK_EXCLUSIVE */
    int on_this_host; /* 1 or 0 */
    int64_t pid;
    uint64_t offset;
    uint64_t bytes;   /* 0: to the end of the largest file */
};
BENCHFS_API int benchfs_lock_holder(benchfs_file_t *file, uint64_t offset, uint64_t bytes, int mode,
                                    struct benchfs_lock_holder *holder);
/* Lock a file or directory as a whole, as flock(2): `operation` is LOCK_SH, LOCK_EX or LOCK_UN of
 * <sys/file.h>, with LOCK_NB to get -EWOULDBLOCK instead of waiting. The lock belongs to this
 * benchfs_file_t and ends with benchfs_close(), too; it knows nothing of locks of ranges. To change its
 * mode it is given up first. Waits at most the session's deadline (-ETIMEDOUT). */
BENCHFS_API int benchfs_flock(benchfs_file_t *file, int operation);

/* Shared file pointers: a number per file and `key`, on the file's home server, 0 until it is changed.
 * `key` is chosen at random by whoever shares it. `add` gives the value before in *before (which may be
 * NULL); -ERANGE if the sum were negative or beyond the largest file. `forget` when nobody will use it
 * any more; the server also drops those used least recently beyond a million. */
BENCHFS_API int benchfs_pointer_add(benchfs_file_t *file, uint64_t key, int64_t delta, int64_t *before);
BENCHFS_API int benchfs_pointer_set(benchfs_file_t *file, uint64_t key, int64_t value);
BENCHFS_API int benchfs_pointer_forget(benchfs_file_t *file, uint64_t key);

/* ---- what a session remembers ---------------------------------------------------------------- */

/* A session remembers directories that paths have led through, for the setting `cache_ttl` (1 s). What it
 * changes itself it sees at once; that others have removed a directory, or put another in its place
 * after removing it, is noticed and changes no outcome; that others have renamed one may be noticed that
 * much later. Attributes, and with them the sizes that benchfs_stat gives, are remembered only for
 * `cache_attributes_ttl` (0: not at all). Reads always see the true end of a file. */

/* Forget all of it: calls from now on see what others have done before now. */
BENCHFS_API int benchfs_cache_drop(benchfs_t *fs);

struct benchfs_cache_stats {
    uint64_t entry_hits;       /* names on the way of a path that were known */
    uint64_t entry_misses;     /* and that a server was asked for */
    uint64_t attribute_hits;   /* the same of attributes; both 0 if they are not remembered */
    uint64_t attribute_misses;
    uint64_t entries;          /* remembered now, of at most the setting `cache_entries` */
    uint64_t attributes;
};
BENCHFS_API int benchfs_cache_stats(benchfs_t *fs, struct benchfs_cache_stats *stats);

/* ---- the cluster ----------------------------------------------------------------------------- */

/* Number of servers; they are numbered from 0 in the order of the cluster file. */
BENCHFS_API int benchfs_server_count(benchfs_t *fs);
/* Name of the host that server `server` runs on; lives as long as the session. NULL: no such server. */
BENCHFS_API const char *benchfs_server_host(benchfs_t *fs, int server);
/* Whether this process reads and writes the file's chunks of all servers itself, as they are on this
 * host and let it, as far as is known: 1 or 0. The others it asks by messages, at the same result. */
BENCHFS_API int benchfs_local_access(benchfs_file_t *file);
/* The server that owns chunk `offset / benchfs_chunk_bytes(file)`: the one placement function. */
BENCHFS_API int benchfs_owner(const benchfs_file_t *file, uint64_t offset);

struct benchfs_server_status {
    char id[64];
    char host[256];
    char address[280];        /* bootstrap "host:port" */
    int64_t pid;
    uint64_t epoch;           /* of the slot map it holds */
    uint64_t uptime_ms;
    uint64_t files;           /* inodes whose home it is, directories included */
    uint64_t stored_bytes;    /* file data on its storage */
    uint64_t capacity_bytes;  /* size of that storage */
    uint64_t free_bytes;
    uint64_t sessions;
    uint64_t requests;        /* served since it started */
    uint64_t read_bytes;      /* sent to clients since it started */
    uint64_t written_bytes;   /* received from clients since it started */
};
BENCHFS_API int benchfs_server_status(benchfs_t *fs, int server, struct benchfs_server_status *status);
/* Space of the file system: over all servers, each of which is asked now (-EHOSTUNREACH, -ETIMEDOUT: one
 * does not answer). Storage that several servers of one host share counts once.
 *     struct benchfs_statfs space;
 *     if (benchfs_statfs(fs, &space) == 0)
 *         printf("%llu of %llu MiB\n", (unsigned long long)(space.available_bytes >> 20),
 *                (unsigned long long)(space.total_bytes >> 20));
 * Others may use the same storage, so nothing is promised: a write finds out. A server that is full
 * refuses writes (-ENOSPC) to the chunks it owns while others still have room. */
struct benchfs_statfs {
    uint64_t block_bytes;     /* unit in which storage is given out: the largest of any server */
    uint64_t total_bytes;     /* of the storage */
    uint64_t free_bytes;      /* of that, used by nobody */
    uint64_t available_bytes; /* of that, what file data may still take */
    uint64_t stored_bytes;    /* allocated by the file data of this file system; holes take nothing */
    uint64_t files;           /* that exist: regular files, directories and symbolic links */
    uint64_t free_files;      /* at least so many with a block of data can still be made, as far as is known */
    uint32_t name_max;        /* bytes of a component of a path */
    uint32_t path_max;        /* bytes of a path */
};
BENCHFS_API int benchfs_statfs(benchfs_t *fs, struct benchfs_statfs *space);
/* The same as it is for who works below `path`: with a quota there, total_bytes is its limit, free and
 * available bytes and files are what it leaves, stored_bytes and files what counts for it. */
BENCHFS_API int benchfs_path_statfs(benchfs_t *fs, const char *path, struct benchfs_statfs *space);
/* The same of one server alone. -EINVAL: there is no such server. */
BENCHFS_API int benchfs_server_statfs(benchfs_t *fs, int server, struct benchfs_statfs *space);
/* Checks the whole file system on all servers: that every directory entry stands for an inode of its type and
 * below a directory that exists, on the server it belongs to; that every inode has the entries that it counts;
 * that data belong to a file; and that the files of quotas are counted right, which a repair sets
 * right, too. With BENCHFS_FSCK_REPAIR it corrects what it finds: entries without an inode
 * or a directory are removed, and so are data without a file and further entries of a directory; link counts
 * are set; an inode without an entry gets the name "#<inode>" in /lost+found, which is made if it is needed.
 * Others may use the file system meanwhile: what they change is not taken for a fault. Things that changed
 * whenever they were looked at are counted in `undecided`. Takes 16 bytes of this process's memory per inode
 * and the time of one or more passes over all metadata.
 * `found` (NULL: none) is called for each finding, in the calling thread when the check is over, and may call
 * anything; what the finding points to lives until it returns. Returns 0 if the check was made, whatever it
 * found; -EINVAL: unknown flags; -EHOSTUNREACH, -ETIMEDOUT: a server does not answer, and nothing can be said;
 * -EIO: a server cannot read its metadata.
 *     static void show(const struct benchfs_fsck_finding *finding, void *unused)
 *     {
 *         (void)unused;
 *         printf("server %d: %s\n", finding->server, finding->text);
 *     }
 *     struct benchfs_fsck_result result;
 *     if (benchfs_fsck(fs, 0, show, NULL, &result) == 0 && result.findings == 0 && result.undecided == 0)
 *         puts("clean"); */
#define BENCHFS_FSCK_REPAIR 1

#define BENCHFS_FSCK_DANGLING_ENTRY 1  /* an entry whose inode does not exist */
#define BENCHFS_FSCK_NO_DIRECTORY 2    /* an entry below a directory that does not exist */
#define BENCHFS_FSCK_MISPLACED_ENTRY 3 /* an entry on a server that others do not ask for it */
#define BENCHFS_FSCK_WRONG_TYPE 4      /* an entry of another type than its inode */
#define BENCHFS_FSCK_ORPHAN_INODE 5    /* an inode without an entry */
#define BENCHFS_FSCK_WRONG_LINKS 6     /* an inode that counts more or fewer entries than it has */
#define BENCHFS_FSCK_SECOND_ENTRY 7    /* a directory in more than one place */
#define BENCHFS_FSCK_MISPLACED_INODE 8 /* an inode on a server that others do not ask for it; never corrected */
#define BENCHFS_FSCK_ORPHAN_DATA 9     /* data of a file that does not exist */
#define BENCHFS_FSCK_WRONG_QUOTA 10    /* a server counts more or fewer files for a quota than it has */

struct benchfs_fsck_finding {
    int kind;            /* BENCHFS_FSCK_... */
    int server;          /* where it was found */
    int corrected;       /* 1: it is right now */
    uint64_t inode;
    uint64_t parent;     /* of an entry: the directory's inode; else 0 */
    const char *word;    /* the kind, for programs: "dangling-entry" */
    const char *name;    /* of an entry, else "" */
    const char *text;    /* what is wrong, for people */
    const char *outcome; /* with BENCHFS_FSCK_REPAIR what was done, or why nothing; else "" */
};
struct benchfs_fsck_result {
    uint64_t inodes, entries; /* that were seen */
    uint64_t data_files;      /* files with data, counted on each server that has some */
    uint64_t findings;
    uint64_t corrected;       /* of those */
    uint64_t undecided;       /* in change whenever they were looked at: ask again later */
};
BENCHFS_API int benchfs_fsck(benchfs_t *fs, unsigned flags,
                             void (*found)(const struct benchfs_fsck_finding *finding, void *argument),
                             void *argument, struct benchfs_fsck_result *result);
/* "cluster id, epoch": 16 hexadecimal digits of the id, lives as long as the session. */
BENCHFS_API const char *benchfs_cluster_id(benchfs_t *fs);
BENCHFS_API uint64_t benchfs_epoch(benchfs_t *fs);

#ifdef __GNUC__
#pragma GCC diagnostic pop
#endif
#ifdef __cplusplus
}
#endif
#endif
