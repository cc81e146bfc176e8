// The C interface: the position of an open file, and vectors of memory with and without it.
#include <limits.h>
#include <unistd.h>

#include "client/capi.hpp"

using namespace benchfs;
using namespace benchfs::capi;

namespace {

/// The total of the segments; a negative errno with its text set.
std::int64_t take_memory(const OpenFile* file, const char* operation,
                         std::span<const iovec> memory) {
  if (memory.size() > IOV_MAX) return refuse(file, operation, EINVAL, "more than IOV_MAX segments");
  std::uint64_t total = 0;
  for (const iovec& segment : memory) {
    if (__builtin_add_overflow(total, std::uint64_t{segment.iov_len}, &total) ||
        total > kFileBytesMax) {
      return refuse(file, operation, EINVAL, "the memory segments' total is too large");
    }
  }
  return static_cast<std::int64_t>(total);
}

/// As a user gives them: a negative count is none.
std::span<const iovec> segments(const struct iovec* memory, int n_memory) {
  return {memory, n_memory > 0 ? static_cast<std::size_t>(n_memory) : 0};
}

std::int64_t read_here(benchfs_file_t* handle, std::span<const iovec> memory) {
  return guarded([&]() -> std::int64_t {
    OpenFile* file = file_of(handle);
    if (file->directory) return refuse(file, "read", EISDIR, "is a directory");
    if (!file->readable) return refuse(file, "read", EBADF, "not open for reading");
    const std::int64_t bytes = take_memory(file, "read", memory);
    if (bytes < 0) return bytes;
    return run_on(file, "read", [&] {
      return file->client->read_next(file, memory, static_cast<std::uint64_t>(bytes));
    });
  });
}

std::int64_t write_here(benchfs_file_t* handle, std::span<const iovec> memory) {
  return guarded([&]() -> std::int64_t {
    OpenFile* file = file_of(handle);
    if (!file->writable) return not_writable(file, "write");
    const std::int64_t bytes = take_memory(file, "write", memory);
    if (bytes < 0) return bytes;
    return run_on(file, "write", [&] {
      return file->client->write_next(file, memory, static_cast<std::uint64_t>(bytes));
    });
  });
}

}  // namespace

std::int64_t benchfs_read(benchfs_file_t* file, void* buffer, size_t bytes) {
  const iovec memory{buffer, bytes};
  return read_here(file, {&memory, 1});
}
std::int64_t benchfs_readv(benchfs_file_t* file, const struct iovec* memory, int n_memory) {
  return read_here(file, segments(memory, n_memory));
}

std::int64_t benchfs_write(benchfs_file_t* file, const void* buffer, size_t bytes) {
  const iovec memory{const_cast<void*>(buffer), bytes};  // only read from
  return write_here(file, {&memory, 1});
}
std::int64_t benchfs_writev(benchfs_file_t* file, const struct iovec* memory, int n_memory) {
  return write_here(file, segments(memory, n_memory));
}

std::int64_t benchfs_preadv(benchfs_file_t* file, const struct iovec* memory, int n_memory,
                            std::uint64_t offset) {
  const auto into = segments(memory, n_memory);
  const std::int64_t bytes = take_memory(file_of(file), "read", into);
  if (bytes < 0) return bytes;
  const benchfs_extent extent{offset, static_cast<std::uint64_t>(bytes)};
  return benchfs_read_list(file, &extent, 1, into.data(), into.size());
}
std::int64_t benchfs_pwritev(benchfs_file_t* file, const struct iovec* memory, int n_memory,
                             std::uint64_t offset) {
  const auto from = segments(memory, n_memory);
  const std::int64_t bytes = take_memory(file_of(file), "write", from);
  if (bytes < 0) return bytes;
  const benchfs_extent extent{offset, static_cast<std::uint64_t>(bytes)};
  return benchfs_write_list(file, &extent, 1, from.data(), from.size());
}

std::int64_t benchfs_lseek(benchfs_file_t* handle, std::int64_t offset, int whence) {
  return guarded([&]() -> std::int64_t {
    OpenFile* file = file_of(handle);
    if (file->directory) return refuse(file, "lseek", EISDIR, "is a directory");
    const std::int64_t position =
        run_on(file, "lseek", [&] { return file->client->seek(file, offset, whence); });
    if (position != Client::kNoData) return position;
    return refuse(file, "lseek", ENXIO,
                  whence == SEEK_DATA ? "no data at the offset or behind it"
                                      : "the offset is not before the end of the file");
  });
}
