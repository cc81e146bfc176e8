// The C interface: reads and writes, blocking and nonblocking, contiguous and lists.
#include "client/capi.hpp"
#include "client/transfer.hpp"

using namespace benchfs;
using namespace benchfs::capi;

namespace {

using Direction = Transfer::Direction;
constexpr const char* name_of(Direction direction) {
  return direction == Direction::read ? "read" : "write";
}

/// Of one call.
struct Access {
  OpenFile* file;
  Direction direction;
  std::span<const benchfs_extent> extents;
  std::span<const iovec> memory;
};

/// Checks access and the totals; 0 or a negative errno with its text set.
inline int check(const Access& access) {
  const OpenFile* file = access.file;
  const auto refuse = [&](int error, const char* why) {
    return capi::refuse(file, name_of(access.direction), error, why);
  };
  if (file->directory) return refuse(EISDIR, "is a directory");
  if (access.direction == Direction::read && !file->readable)
    return refuse(EBADF, "not open for reading");
  if (access.direction == Direction::write && !file->writable)
    return refuse(EBADF, "not open for writing");
  std::uint64_t file_bytes = 0;
  for (const benchfs_extent& extent : access.extents) {
    if (extent.offset > kFileBytesMax || extent.bytes > kFileBytesMax - extent.offset) {
      return refuse(EFBIG, "an extent ends beyond the largest file (2^62 bytes)");
    }
    if (__builtin_add_overflow(file_bytes, extent.bytes, &file_bytes) ||
        file_bytes > kFileBytesMax) {
      return refuse(EINVAL, "the extents' total is too large");
    }
  }
  std::uint64_t memory_bytes = 0;
  for (const iovec& segment : access.memory) {
    if (__builtin_add_overflow(memory_bytes, std::uint64_t{segment.iov_len}, &memory_bytes)) {
      return refuse(EINVAL, "the memory segments' total is too large");
    }
  }
  if (file_bytes != memory_bytes) return refuse(EINVAL, "extents and memory differ in total size");
  return 0;
}

/// What can be done without a task is done without one.
bool at_once(Client& client, const Access& access) {
  if (access.extents.size() != 1 || access.memory.size() != 1) return false;
  return Transfer::at_once(client, *access.file, access.direction, access.extents[0],
                           access.memory[0]);
}

Task<Outcome> transfer(Client& client, const Access& access, bool in_call) {
  OpenFile* file = access.file;
  if (access.direction == Direction::read)
    return client.read(file, access.extents, access.memory, in_call);
  if (file->through != Through::nothing) {
    return client.write_through(file, access.extents, access.memory, in_call);
  }
  return client.write(file, access.extents, access.memory, in_call);
}

std::int64_t blocking(const Access& access) {
  return guarded([&]() -> std::int64_t {
    if (const int error = check(access); error != 0) return error;
    Client& client = *access.file->client;
    Outcome outcome;
    {
      const Client::Lock lock(client);
      if (at_once(client, access)) return static_cast<std::int64_t>(access.extents[0].bytes);
      outcome = client.run(transfer(client, access, true));
    }
    return given(access.file, name_of(access.direction), outcome);
  });
}

int nonblocking(const Access& access, benchfs_request_t** out) {
  return guarded([&]() -> int {
    if (const int error = check(access); error != 0) return error;
    OpenFile* file = access.file;
    auto request = std::make_unique<Request>(*file->client, name_of(access.direction), file->path);
    request->file = file;
    request->extents.assign(access.extents.begin(), access.extents.end());
    request->memory.assign(access.memory.begin(), access.memory.end());
    return start(
        std::move(request),
        [&](Request& self) {
          const Access kept{file, access.direction, self.extents, self.memory};
          return transfer(*file->client, kept, false);
        },
        out);
  });
}

}  // namespace

std::int64_t benchfs_pread(benchfs_file_t* file, void* buffer, size_t bytes, std::uint64_t offset) {
  const benchfs_extent extent{offset, bytes};
  const iovec memory{buffer, bytes};
  return blocking({file_of(file), Direction::read, {&extent, 1}, {&memory, 1}});
}

std::int64_t benchfs_pwrite(benchfs_file_t* file, const void* buffer, size_t bytes,
                            std::uint64_t offset) {
  const benchfs_extent extent{offset, bytes};
  const iovec memory{const_cast<void*>(buffer), bytes};  // only read from
  return blocking({file_of(file), Direction::write, {&extent, 1}, {&memory, 1}});
}

std::int64_t benchfs_read_list(benchfs_file_t* file, const struct benchfs_extent* extents,
                               size_t n_extents, const struct iovec* memory, size_t n_memory) {
  return blocking({file_of(file), Direction::read, {extents, n_extents}, {memory, n_memory}});
}

std::int64_t benchfs_write_list(benchfs_file_t* file, const struct benchfs_extent* extents,
                                size_t n_extents, const struct iovec* memory, size_t n_memory) {
  return blocking({file_of(file), Direction::write, {extents, n_extents}, {memory, n_memory}});
}

int benchfs_read_list_start(benchfs_file_t* file, const struct benchfs_extent* extents,
                            size_t n_extents, const struct iovec* memory, size_t n_memory,
                            benchfs_request_t** request) {
  return nonblocking({file_of(file), Direction::read, {extents, n_extents}, {memory, n_memory}},
                     request);
}

int benchfs_write_list_start(benchfs_file_t* file, const struct benchfs_extent* extents,
                             size_t n_extents, const struct iovec* memory, size_t n_memory,
                             benchfs_request_t** request) {
  return nonblocking({file_of(file), Direction::write, {extents, n_extents}, {memory, n_memory}},
                     request);
}
