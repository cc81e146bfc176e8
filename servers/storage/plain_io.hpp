// pread and pwrite until all is done. Only the end of the file ends a read early.
#pragma once
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/status.hpp"

namespace benchfs {

inline Result<std::size_t> read_plain(int fd, std::uint64_t offset, std::span<std::byte> into) {
  std::size_t done = 0;
  while (done < into.size()) {
    const ssize_t count =
        pread(fd, into.data() + done, into.size() - done, static_cast<off_t>(offset + done));
    if (count > 0) {
      done += static_cast<std::size_t>(count);
    } else if (count == 0) {
      break;
    } else if (errno != EINTR) {
      return fail(errc_from_errno(errno), errno);
    }
  }
  return done;
}

inline Status write_plain(int fd, std::uint64_t offset, std::span<const std::byte> from) {
  while (!from.empty()) {
    const ssize_t count = pwrite(fd, from.data(), from.size(), static_cast<off_t>(offset));
    if (count > 0) {
      offset += static_cast<std::size_t>(count);
      from = from.subspan(static_cast<std::size_t>(count));
    } else if (count == 0) {
      return fail(Errc::io, EIO);
    } else if (errno != EINTR) {
      return fail(errc_from_errno(errno), errno);
    }
  }
  return {};
}

}  // namespace benchfs
