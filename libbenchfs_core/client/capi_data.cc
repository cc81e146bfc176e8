// The C interface: reads and writes, blocking and nonblocking, contiguous and lists.
#include "client/capi.hpp"
#include "client/transfer.hpp"

using namespace benchfs;
using namespace benchfs::capi;

namespace {

enum class Kind { read, write };
constexpr const char* name_of(Kind kind) {
  return kind == Kind::read ? "read" : "write";
}

/// Checks access and the totals; 0 or a negative errno with its text set.
int check(const OpenFile* file, Kind kind, std::span<const benchfs_extent> extents,
          std::span<const iovec> memory) {
  const char* operation = name_of(kind);
  if (file->directory) return refuse(file, operation, EISDIR, "is a directory");
  if (kind == Kind::read && !file->readable)
    return refuse(file, operation, EBADF, "not open for reading");
  if (kind == Kind::write && !file->writable)
    return refuse(file, operation, EBADF, "not open for writing");
  std::uint64_t file_bytes = 0;
  for (const benchfs_extent& extent : extents) {
    if (extent.offset > kFileBytesMax || extent.bytes > kFileBytesMax - extent.offset) {
      return refuse(file, operation, EFBIG, "an extent ends beyond the largest file (2^62 bytes)");
    }
    if (__builtin_add_overflow(file_bytes, extent.bytes, &file_bytes) ||
        file_bytes > kFileBytesMax) {
      return refuse(file, operation, EINVAL, "the extents' total is too large");
    }
  }
  std::uint64_t memory_bytes = 0;
  for (const iovec& segment : memory) {
    if (__builtin_add_overflow(memory_bytes, std::uint64_t{segment.iov_len}, &memory_bytes)) {
      return refuse(file, operation, EINVAL, "the memory segments' total is too large");
    }
  }
  if (file_bytes != memory_bytes)
    return refuse(file, operation, EINVAL, "extents and memory differ in total size");
  return 0;
}

Task<Outcome> transfer(Client& client, OpenFile* file, Kind kind,
                       std::span<const benchfs_extent> extents, std::span<const iovec> memory,
                       bool in_call) {
  if (kind == Kind::read) return client.read(file, extents, memory, in_call);
  if (file->through != Through::nothing) {
    return client.write_through(file, extents, memory, in_call);
  }
  return client.write(file, extents, memory, in_call);
}

/// What can be done without a task is done without one.
bool at_once(Client& client, OpenFile* file, Kind kind, std::span<const benchfs_extent> extents,
             std::span<const iovec> memory) {
  if (extents.size() != 1 || memory.size() != 1) return false;
  const auto direction =
      kind == Kind::read ? Transfer::Direction::read : Transfer::Direction::write;
  return Transfer::at_once(client, *file, direction, extents[0], memory[0]);
}

std::int64_t blocking(benchfs_file_t* handle, Kind kind, std::span<const benchfs_extent> extents,
                      std::span<const iovec> memory) {
  return guarded([&]() -> std::int64_t {
    OpenFile* file = file_of(handle);
    if (const int error = check(file, kind, extents, memory); error != 0) return error;
    Client& client = *file->client;
    Outcome outcome;
    {
      const Client::Lock lock(client);
      if (at_once(client, file, kind, extents, memory)) {
        return static_cast<std::int64_t>(extents[0].bytes);
      }
      outcome = client.run(transfer(client, file, kind, extents, memory, true));
    }
    return given(file, name_of(kind), outcome);
  });
}

int nonblocking(benchfs_file_t* handle, Kind kind, std::span<const benchfs_extent> extents,
                std::span<const iovec> memory, benchfs_request_t** out) {
  return guarded([&]() -> int {
    OpenFile* file = file_of(handle);
    if (const int error = check(file, kind, extents, memory); error != 0) return error;
    auto request = std::make_unique<Request>(*file->client, name_of(kind), file->path);
    request->file = file;
    request->extents.assign(extents.begin(), extents.end());
    request->memory.assign(memory.begin(), memory.end());
    return start(
        std::move(request),
        [&](Request& self) {
          return transfer(*file->client, file, kind, self.extents, self.memory, false);
        },
        out);
  });
}

}  // namespace

std::int64_t benchfs_pread(benchfs_file_t* file, void* buffer, size_t bytes, std::uint64_t offset) {
  const benchfs_extent extent{offset, bytes};
  const iovec memory{buffer, bytes};
  return blocking(file, Kind::read, {&extent, 1}, {&memory, 1});
}

std::int64_t benchfs_pwrite(benchfs_file_t* file, const void* buffer, size_t bytes,
                            std::uint64_t offset) {
  const benchfs_extent extent{offset, bytes};
  const iovec memory{const_cast<void*>(buffer), bytes};  // only read from
  return blocking(file, Kind::write, {&extent, 1}, {&memory, 1});
}

std::int64_t benchfs_read_list(benchfs_file_t* file, const struct benchfs_extent* extents,
                               size_t n_extents, const struct iovec* memory, size_t n_memory) {
  return blocking(file, Kind::read, {extents, n_extents}, {memory, n_memory});
}

std::int64_t benchfs_write_list(benchfs_file_t* file, const struct benchfs_extent* extents,
                                size_t n_extents, const struct iovec* memory, size_t n_memory) {
  return blocking(file, Kind::write, {extents, n_extents}, {memory, n_memory});
}

int benchfs_read_list_start(benchfs_file_t* file, const struct benchfs_extent* extents,
                            size_t n_extents, const struct iovec* memory, size_t n_memory,
                            benchfs_request_t** request) {
  return nonblocking(file, Kind::read, {extents, n_extents}, {memory, n_memory}, request);
}

int benchfs_write_list_start(benchfs_file_t* file, const struct benchfs_extent* extents,
                             size_t n_extents, const struct iovec* memory, size_t n_memory,
                             benchfs_request_t** request) {
  return nonblocking(file, Kind::write, {extents, n_extents}, {memory, n_memory}, request);
}
