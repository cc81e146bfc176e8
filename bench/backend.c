/*
 * backend.c - the files of the loads, by MPI-IO, by benchfs.h, by system calls, by io_uring, or as
 * a copy in memory. Whatever does not move all its bytes ends the load with an error that names the
 * file.
 */
#define _GNU_SOURCE /* O_DIRECT */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "load.h"

struct slot {
  MPI_Request mpi;
  benchfs_request_t* native;
  struct benchfs_extent extent;
  struct iovec memory;
  size_t bytes;
  int64_t result; /* of io_uring; INT64_MIN: not there yet */
};

struct file {
  struct target* target;
  char path[PATH_BYTES];
  MPI_File mpi;
  benchfs_file_t* native;
  int fd;
  struct io_uring ring;
  struct slot slots[DEPTH_MAX];
};

static void failed(const struct file* file, const char* what, int code) {
  fail("%s %s: %s", what, file->path,
       file->target->kind == NATIVE && code < 0 ? benchfs_error()
                                                : strerror(code < 0 ? -code : code));
}

static void moved(const struct file* file, const char* what, int64_t count, size_t bytes) {
  if (count < 0) failed(file, what, (int)count);
  if ((size_t)count != bytes)
    fail("%s %s: %lld of %zu bytes", what, file->path, (long long)count, bytes);
}

static MPI_Info info_of(const struct target* target) {
  char list[PATH_BYTES];
  MPI_Info info;

  MPI_Info_create(&info);
  snprintf(list, sizeof(list), "%s", target->hints);
  for (char* word = strtok(list, ","); word != NULL; word = strtok(NULL, ",")) {
    char* value = strchr(word, '=');
    if (value == NULL) fail("%s: a hint is name=value", word);
    *value++ = '\0';
    MPI_Info_set(info, word, value);
  }
  return info;
}

static void open_mpi(struct file* file, int how) {
  const int mode = how & FOR_WRITING ? MPI_MODE_CREATE | MPI_MODE_WRONLY : MPI_MODE_RDONLY;
  MPI_Info info = info_of(file->target);

  check_mpi(MPI_File_open(how & OF_ONE_RANK ? MPI_COMM_SELF : MPI_COMM_WORLD, file->path, mode,
                          info, &file->mpi),
            file->path);
  MPI_Info_free(&info);
}

static void open_local(struct file* file, int how) {
  const int flags = how & FOR_WRITING ? O_WRONLY | O_CREAT : O_RDONLY;

  file->fd = open(file->path, flags | (how & WITH_O_DIRECT ? O_DIRECT : 0), 0644);
  if (file->fd < 0) failed(file, "open", errno);
  if (file->target->kind != URING) return;
  const int code = io_uring_queue_init(DEPTH_MAX, &file->ring, 0);
  if (code != 0) failed(file, "io_uring for", code);
}

struct file* file_open(struct target* target, const char* path, int how, uint64_t bytes) {
  struct file* file = calloc(1, sizeof(*file));

  if (file == NULL) fail("no memory");
  file->target = target;
  snprintf(file->path, sizeof(file->path), "%s", path);
  switch (target->kind) {
    case MPI_KIND:
      open_mpi(file, how);
      break;
    case NATIVE: {
      const int code = benchfs_open(fs, path, how & FOR_WRITING ? O_WRONLY | O_CREAT : O_RDONLY,
                                    0644, 0, &file->native);
      if (code != 0) failed(file, "open", code);
      break;
    }
    case POSIX:
    case URING:
      open_local(file, how);
      break;
    case MEMORY:
      if (target->memory_bytes < bytes) {
        free(target->memory);
        target->memory = aligned_memory(bytes);
        target->memory_bytes = bytes;
      }
      break;
  }
  return file;
}

static void move_mpi(struct file* file, int writes, void* data, size_t bytes, uint64_t offset) {
  MPI_Status status;
  int count;

  check_mpi(
      writes ? MPI_File_write_at(file->mpi, (MPI_Offset)offset, data, (int)bytes, MPI_BYTE, &status)
             : MPI_File_read_at(file->mpi, (MPI_Offset)offset, data, (int)bytes, MPI_BYTE, &status),
      file->path);
  MPI_Get_count(&status, MPI_BYTE, &count);
  moved(file, writes ? "write" : "read", count, bytes);
}

void file_write(struct file* file, const void* data, size_t bytes, uint64_t offset) {
  int64_t count = (int64_t)bytes;

  switch (file->target->kind) {
    case MPI_KIND:
      move_mpi(file, 1, (void*)(uintptr_t)data, bytes, offset);
      return;
    case NATIVE:
      count = benchfs_pwrite(file->native, data, bytes, offset);
      break;
    case POSIX:
      count = pwrite(file->fd, data, bytes, (off_t)offset);
      if (count < 0) count = -errno;
      break;
    case URING:
      file_start(file, 0, 1, (void*)(uintptr_t)data, bytes, offset);
      file_finish(file, 0);
      return;
    case MEMORY:
      memcpy(file->target->memory + offset, data, bytes);
      break;
  }
  moved(file, "write", count, bytes);
}

void file_read(struct file* file, void* data, size_t bytes, uint64_t offset) {
  int64_t count = (int64_t)bytes;

  switch (file->target->kind) {
    case MPI_KIND:
      move_mpi(file, 0, data, bytes, offset);
      return;
    case NATIVE:
      count = benchfs_pread(file->native, data, bytes, offset);
      break;
    case POSIX:
      count = pread(file->fd, data, bytes, (off_t)offset);
      if (count < 0) count = -errno;
      break;
    case URING:
      file_start(file, 0, 0, data, bytes, offset);
      file_finish(file, 0);
      return;
    case MEMORY:
      memcpy(data, file->target->memory + offset, bytes);
      break;
  }
  moved(file, "read", count, bytes);
}

void file_start(struct file* file, int slot, int writes, void* data, size_t bytes,
                uint64_t offset) {
  struct slot* const s = &file->slots[slot];
  struct io_uring_sqe* entry;
  int code;

  s->bytes = bytes;
  switch (file->target->kind) {
    case MPI_KIND:
      check_mpi(writes ? MPI_File_iwrite_at(file->mpi, (MPI_Offset)offset, data, (int)bytes,
                                            MPI_BYTE, &s->mpi)
                       : MPI_File_iread_at(file->mpi, (MPI_Offset)offset, data, (int)bytes,
                                           MPI_BYTE, &s->mpi),
                file->path);
      break;
    case NATIVE:
      s->extent = (struct benchfs_extent){.offset = offset, .bytes = bytes};
      s->memory = (struct iovec){.iov_base = data, .iov_len = bytes};
      code = writes
                 ? benchfs_write_list_start(file->native, &s->extent, 1, &s->memory, 1, &s->native)
                 : benchfs_read_list_start(file->native, &s->extent, 1, &s->memory, 1, &s->native);
      if (code != 0) failed(file, "start", code);
      break;
    case URING:
      entry = io_uring_get_sqe(&file->ring);
      if (entry == NULL) fail("%s: the queue of io_uring is full", file->path);
      if (writes)
        io_uring_prep_write(entry, file->fd, data, (unsigned)bytes, offset);
      else
        io_uring_prep_read(entry, file->fd, data, (unsigned)bytes, offset);
      io_uring_sqe_set_data(entry, s);
      s->result = INT64_MIN;
      code = io_uring_submit(&file->ring);
      if (code != 1) failed(file, "submit", code < 0 ? code : EAGAIN);
      break;
    case POSIX:
    case MEMORY:
      if (writes)
        file_write(file, data, bytes, offset);
      else
        file_read(file, data, bytes, offset);
      break;
  }
}

void file_finish(struct file* file, int slot) {
  struct slot* const s = &file->slots[slot];
  MPI_Status status;
  int count;

  switch (file->target->kind) {
    case MPI_KIND:
      check_mpi(MPI_Wait(&s->mpi, &status), file->path);
      MPI_Get_count(&status, MPI_BYTE, &count);
      moved(file, "finish", count, s->bytes);
      break;
    case NATIVE:
      moved(file, "finish", benchfs_wait(s->native), s->bytes);
      break;
    case URING:
      while (s->result == INT64_MIN) {
        struct io_uring_cqe* completion;
        const int code = io_uring_wait_cqe(&file->ring, &completion);
        if (code == -EINTR) continue;
        if (code != 0) failed(file, "wait for", code);
        ((struct slot*)io_uring_cqe_get_data(completion))->result = completion->res;
        io_uring_cqe_seen(&file->ring, completion);
      }
      moved(file, "finish", s->result, s->bytes);
      break;
    case POSIX:
    case MEMORY:
      break;
  }
}

void file_all(struct file* file, int writes, void* data, size_t bytes, size_t piece) {
  MPI_Datatype pieces, view;
  MPI_Status status;
  int count;

  MPI_Type_vector((int)(bytes / piece), (int)piece, (int)piece * ranks, MPI_BYTE, &pieces);
  MPI_Type_create_resized(pieces, 0, (MPI_Aint)(bytes * (size_t)ranks), &view);
  MPI_Type_commit(&view);
  check_mpi(MPI_File_set_view(file->mpi, rank * (MPI_Offset)piece, MPI_BYTE, view, "native",
                              MPI_INFO_NULL),
            file->path);
  check_mpi(writes ? MPI_File_write_at_all(file->mpi, 0, data, (int)bytes, MPI_BYTE, &status)
                   : MPI_File_read_at_all(file->mpi, 0, data, (int)bytes, MPI_BYTE, &status),
            file->path);
  MPI_Get_count(&status, MPI_BYTE, &count);
  moved(file, writes ? "write" : "read", count, bytes);
  MPI_Type_free(&view);
  MPI_Type_free(&pieces);
}

void file_sync(struct file* file) {
  int code = 0;

  if (file->target->kind == MPI_KIND) check_mpi(MPI_File_sync(file->mpi), file->path);
  if (file->target->kind == NATIVE) code = benchfs_sync(file->native);
  if (file->target->kind == POSIX || file->target->kind == URING)
    code = fsync(file->fd) == 0 ? 0 : errno;
  if (code != 0) failed(file, "sync", code);
}

void file_close(struct file* file) {
  int code = 0;

  if (file->target->kind == MPI_KIND) check_mpi(MPI_File_close(&file->mpi), file->path);
  if (file->target->kind == NATIVE) code = benchfs_close(file->native);
  if (file->target->kind == URING) io_uring_queue_exit(&file->ring);
  if (file->target->kind == POSIX || file->target->kind == URING)
    code = close(file->fd) == 0 ? 0 : errno;
  if (code != 0) failed(file, "close", code);
  free(file);
}

void file_remove(struct target* target, const char* path) {
  struct file file = {.target = target};
  int code = 0;

  snprintf(file.path, sizeof(file.path), "%s", path);
  if (target->kind == MPI_KIND) {
    int class = MPI_SUCCESS, result = MPI_File_delete(path, MPI_INFO_NULL);
    if (result != MPI_SUCCESS) MPI_Error_class(result, &class);
    if (result != MPI_SUCCESS && class != MPI_ERR_NO_SUCH_FILE) check_mpi(result, path);
  }
  if (target->kind == NATIVE) code = benchfs_unlink(fs, path);
  if (target->kind == POSIX || target->kind == URING) code = unlink(path) == 0 ? 0 : errno;
  if (code != 0 && code != ENOENT && code != -ENOENT) failed(&file, "remove", code);
}
