// The C interface: files and names, blocking and nonblocking.
#include <fcntl.h>
#include <sys/stat.h>

#include <cstring>
#include <utility>

#include "client/capi.hpp"
#include "wire/messages.hpp"

using namespace benchfs;
using namespace benchfs::capi;

namespace {

constexpr std::uint32_t kHandleMagic = 0x42465348;  // "BFSH"
struct FileHandle {
  std::uint32_t magic;
  std::uint32_t path_bytes;
  std::uint64_t cluster_id;
  std::uint64_t inode;
  std::uint64_t chunk_bytes;
};
static_assert(sizeof(FileHandle) + kPathBytesMax <= BENCHFS_HANDLE_BYTES);

/// What `flags` ask for, or nothing if there are others.
struct OpenFlags {
  OpenMode how;
  std::uint32_t wire;
};
std::optional<OpenFlags> take_flags(int flags) {
  const int access = flags & O_ACCMODE;
  // Offsets here are always what O_LARGEFILE asks for, reads never change the access time, and a
  // session does not live through exec(). Nothing waits as O_NONBLOCK and O_NOCTTY mean it.
  constexpr int kHarmless = O_LARGEFILE | O_CLOEXEC | O_NOATIME | O_NONBLOCK | O_NOCTTY;
  constexpr int kKnown = O_ACCMODE | O_CREAT | O_EXCL | O_TRUNC | O_APPEND | O_DIRECTORY |
                         O_NOFOLLOW | O_DSYNC | O_SYNC | kHarmless;
  if ((flags & ~kKnown) != 0 || access == O_ACCMODE) return std::nullopt;
  const bool create = (flags & O_CREAT) != 0;
  OpenFlags out{{}, 0};
  out.how.readable = access != O_WRONLY;
  out.how.writable = access != O_RDONLY;
  out.how.directory = (flags & O_DIRECTORY) != 0;
  out.how.follow = (flags & O_NOFOLLOW) == 0;
  out.how.append = (flags & O_APPEND) != 0;
  if ((flags & O_SYNC) == O_SYNC) {
    out.how.through = Through::all;
  } else if ((flags & O_DSYNC) != 0) {
    out.how.through = Through::data;
  }
  if (out.how.directory && create) return std::nullopt;
  if (create) out.wire |= wire::Open::kCreate;
  if (create && (flags & O_EXCL) != 0) out.wire |= wire::Open::kExclusive;
  if ((flags & O_TRUNC) != 0 && out.how.writable) out.wire |= wire::Open::kTruncate;
  return out;
}

/// Checks the arguments of an open; 0 or a negative errno with its text set.
int check_open(const char* path, int flags, std::uint64_t chunk_bytes) {
  const std::string shown = path == nullptr ? "" : path;
  if (!take_flags(flags)) {
    return set_error(EINVAL, "open benchfs:" + shown +
                                 ": there is a flag that is not supported (see benchfs.h), or "
                                 "O_DIRECTORY with O_CREAT");
  }
  if (chunk_bytes != 0 && !valid_chunk_bytes(chunk_bytes)) {
    return set_error(EINVAL, "open benchfs:" + shown + ": chunk size " +
                                 std::to_string(chunk_bytes) +
                                 " is not a power of two from 65536 to 134217728");
  }
  return 0;
}

Task<Outcome> open_into(Client* client, std::string_view path, OpenFlags flags, std::uint32_t mode,
                        std::uint64_t chunk_bytes, benchfs_file_t** out) {
  if (chunk_bytes == 0) chunk_bytes = client->config().chunk_bytes;
  BFS_CO_TRY(file, co_await client->open(path, flags.wire, flags.how, mode & 07777, chunk_bytes));
  *out = handle_of(file);
  co_return 0;
}

Task<Outcome> stat_into(Client* client, std::string_view path, struct benchfs_stat* st) {
  BFS_CO_TRY(attributes, co_await client->stat(path));
  fill_stat(st, attributes);
  co_return 0;
}

Task<Outcome> fstat_into(Client* client, InodeId inode, struct benchfs_stat* st) {
  BFS_CO_TRY(attributes, co_await client->attributes(inode));
  fill_stat(st, attributes);
  co_return 0;
}

template <class Make>
int on_file_start(benchfs_file_t* handle, const char* operation, Make make,
                  benchfs_request_t** out) {
  return guarded([&]() -> int {
    OpenFile* file = file_of(handle);
    Client& client = *file->client;
    auto request = std::make_unique<Request>(client, operation, file->path);
    request->file = file;
    return start(
        std::move(request), [&](Request&) { return make(client, file); }, out);
  });
}

/// Why `file` cannot be closed now: 0 or a negative errno.
int check_close(OpenFile* file) {
  const Client::Lock lock(*file->client);
  if (file->requests == 0) return 0;
  return set_error(EBUSY, "close benchfs:" + file->path + ": requests are in flight");
}

}  // namespace

void capi::fill_stat(struct benchfs_stat* st, const wire::Attributes& from) {
  *st = {};
  st->inode = from.inode;
  st->size = from.size;
  st->chunk_bytes = S_ISREG(from.mode) ? from.chunk_bytes : 0;
  st->mode = from.mode;
  st->nlink = from.nlink;
  st->uid = from.uid;
  st->gid = from.gid;
  st->atime_ns = from.atime_ns;
  st->mtime_ns = from.mtime_ns;
  st->ctime_ns = from.ctime_ns;
}

int benchfs_open(benchfs_t* fs, const char* path, int flags, std::uint32_t mode,
                 std::uint64_t chunk_bytes, benchfs_file_t** file) {
  if (const int error = check_open(path, flags, chunk_bytes); error != 0) return error;
  return on_path(fs, "open", path, [&](Client& client, const std::string& canonical) {
    return open_into(&client, canonical, *take_flags(flags), mode, chunk_bytes, file);
  });
}

int benchfs_open_start(benchfs_t* fs, const char* path, int flags, std::uint32_t mode,
                       std::uint64_t chunk_bytes, benchfs_file_t** file,
                       benchfs_request_t** request) {
  if (const int error = check_open(path, flags, chunk_bytes); error != 0) return error;
  return on_path_start(
      fs, "open", path,
      [&](Client& client, const std::string& canonical) {
        return open_into(&client, canonical, *take_flags(flags), mode, chunk_bytes, file);
      },
      request);
}

int benchfs_close(benchfs_file_t* handle) {
  return guarded([&]() -> int {
    OpenFile* file = file_of(handle);
    if (const int error = check_close(file); error != 0) return error;
    Client& client = *file->client;
    const std::string path = std::move(file->path);  // for an error: the file goes
    return static_cast<int>(run(client, "close", path, [&] { return client.close(file); }));
  });
}

int benchfs_close_start(benchfs_file_t* handle, benchfs_request_t** out) {
  return guarded([&]() -> int {
    OpenFile* file = file_of(handle);
    if (const int error = check_close(file); error != 0) return error;
    Client& client = *file->client;
    auto request = std::make_unique<Request>(client, "close", file->path);
    return start(
        std::move(request), [&](Request&) { return client.close(file); }, out);
  });
}

int benchfs_export(benchfs_file_t* handle, void* blob, size_t capacity) {
  return guarded([&]() -> int {
    const OpenFile* file = file_of(handle);
    if (file->directory) return refuse(file, "export", EISDIR, "is a directory");
    const FileHandle head{kHandleMagic, static_cast<std::uint32_t>(file->path.size()),
                          file->client->cluster().cluster_id, file->inode, file->chunk_bytes};
    const std::size_t bytes = sizeof(head) + file->path.size();
    if (capacity < bytes) return set_error(ERANGE, "export: the buffer is too small");
    std::memcpy(blob, &head, sizeof(head));
    std::memcpy(static_cast<char*>(blob) + sizeof(head), file->path.data(), file->path.size());
    return static_cast<int>(bytes);
  });
}

int benchfs_import(benchfs_t* fs, const void* blob, size_t bytes, int flags, benchfs_file_t** out) {
  return guarded([&]() -> int {
    Client& client = client_of(fs);
    FileHandle head{};
    if (bytes >= sizeof(head)) std::memcpy(&head, blob, sizeof(head));
    const auto taken = take_flags(flags & O_ACCMODE);
    if (bytes < sizeof(head) || head.magic != kHandleMagic ||
        head.path_bytes != bytes - sizeof(head) || head.path_bytes > kPathBytesMax ||
        !valid_chunk_bytes(head.chunk_bytes) || !taken) {
      return set_error(EINVAL, "import: not a file handle of this version");
    }
    if (head.cluster_id != client.cluster().cluster_id) {
      return set_error(ESTALE, "import: the file handle belongs to another cluster");
    }
    std::string path(static_cast<const char*>(blob) + sizeof(head), head.path_bytes);
    const Client::Lock lock(client);
    const OpenMode& how = taken->how;
    *out = handle_of(
        client.import(std::move(path), head.inode, head.chunk_bytes, how.readable, how.writable));
    return 0;
  });
}

int benchfs_take_size(benchfs_file_t* handle, std::uint64_t* end) {
  OpenFile* file = file_of(handle);
  const Client::Lock lock(*file->client);
  if (!std::exchange(file->size_dirty, false)) return 0;
  *end = file->written_end;
  return 1;
}

void benchfs_give_size(benchfs_file_t* handle, std::uint64_t end) {
  OpenFile* file = file_of(handle);
  const Client::Lock lock(*file->client);
  file->wrote_to(end);
  file->saw_size(end);
  file->written_elsewhere = true;
}

int benchfs_unlink(benchfs_t* fs, const char* path) {
  return on_path(fs, "unlink", path, [](Client& client, const std::string& canonical) {
    return client.unlink(canonical);
  });
}
int benchfs_unlink_start(benchfs_t* fs, const char* path, benchfs_request_t** request) {
  return on_path_start(
      fs, "unlink", path,
      [](Client& client, const std::string& canonical) { return client.unlink(canonical); },
      request);
}

int benchfs_mkdir(benchfs_t* fs, const char* path, std::uint32_t mode) {
  return on_path(fs, "mkdir", path, [&](Client& client, const std::string& canonical) {
    return client.mkdir(canonical, mode & 07777);
  });
}
int benchfs_mkdir_start(benchfs_t* fs, const char* path, std::uint32_t mode,
                        benchfs_request_t** request) {
  return on_path_start(
      fs, "mkdir", path,
      [&](Client& client, const std::string& canonical) {
        return client.mkdir(canonical, mode & 07777);
      },
      request);
}

int benchfs_stat(benchfs_t* fs, const char* path, struct benchfs_stat* st) {
  return on_path(fs, "stat", path, [&](Client& client, const std::string& canonical) {
    return stat_into(&client, canonical, st);
  });
}
int benchfs_stat_start(benchfs_t* fs, const char* path, struct benchfs_stat* st,
                       benchfs_request_t** request) {
  return on_path_start(
      fs, "stat", path,
      [&](Client& client, const std::string& canonical) {
        return stat_into(&client, canonical, st);
      },
      request);
}

int benchfs_fstat(benchfs_file_t* file, struct benchfs_stat* st) {
  return on_file(file, "stat", [&](Client& client, OpenFile* open) {
    return fstat_into(&client, open->inode, st);
  });
}

int benchfs_truncate(benchfs_t* fs, const char* path, std::uint64_t size) {
  return on_path(fs, "truncate", path, [&](Client& client, const std::string& canonical) {
    return client.truncate(canonical, size);
  });
}

int benchfs_ftruncate(benchfs_file_t* file, std::uint64_t size) {
  if (!file_of(file)->writable) return not_writable(file_of(file), "truncate");
  return on_file(file, "truncate", [&](Client& client, OpenFile* open) {
    return client.set_size(open->inode, size, wire::SetSize::kTruncate);
  });
}
int benchfs_ftruncate_start(benchfs_file_t* file, std::uint64_t size, benchfs_request_t** request) {
  if (!file_of(file)->writable) return not_writable(file_of(file), "truncate");
  return on_file_start(
      file, "truncate",
      [&](Client& client, OpenFile* open) {
        return client.set_size(open->inode, size, wire::SetSize::kTruncate);
      },
      request);
}

int benchfs_extend(benchfs_file_t* file, std::uint64_t size) {
  if (!file_of(file)->writable) return not_writable(file_of(file), "extend");
  return on_file(file, "extend", [&](Client& client, OpenFile* open) {
    return client.set_size(open->inode, size, wire::SetSize::kExtend);
  });
}

int benchfs_sync(benchfs_file_t* file) {
  return on_file(file, "sync", [](Client& client, OpenFile* open) { return client.sync(open); });
}
int benchfs_sync_start(benchfs_file_t* file, benchfs_request_t** request) {
  return on_file_start(
      file, "sync", [](Client& client, OpenFile* open) { return client.sync(open); }, request);
}

int benchfs_datasync(benchfs_file_t* file) {
  return on_file(file, "sync",
                 [](Client& client, OpenFile* open) { return client.sync(open, false); });
}

int benchfs_flush_size(benchfs_file_t* file) {
  return on_file(file, "flush",
                 [](Client& client, OpenFile* open) { return client.flush_size(open); });
}
int benchfs_flush_size_start(benchfs_file_t* file, benchfs_request_t** request) {
  return on_file_start(
      file, "flush", [](Client& client, OpenFile* open) { return client.flush_size(open); },
      request);
}

const char* benchfs_path(const benchfs_file_t* file) {
  return file_of(file)->path.c_str();
}
benchfs_t* benchfs_session(const benchfs_file_t* file) {
  return handle_of(file_of(file)->client);
}
std::uint64_t benchfs_chunk_bytes(const benchfs_file_t* file) {
  return file_of(file)->chunk_bytes;
}
