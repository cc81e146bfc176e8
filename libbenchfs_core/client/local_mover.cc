// Every short count is gone on from; only the end of the local file ends a read early.
#include "client/local_mover.hpp"

#include <limits.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace benchfs {

Status LocalMover::add(ServerIndex server, int fd, std::uint64_t local_offset, std::uint64_t offset,
                       std::byte* memory, std::size_t bytes) {
  const bool follows = bytes_ > 0 && fd == fd_ && server == server_ &&
                       local_offset == local_offset_ + bytes_ && memory_.size() < IOV_MAX;
  Status done;
  if (!follows) {
    done = flush();
    server_ = server;
    fd_ = fd;
    local_offset_ = local_offset;
    offset_ = offset;
  }
  if (follows &&
      static_cast<std::byte*>(memory_.back().iov_base) + memory_.back().iov_len == memory) {
    memory_.back().iov_len += bytes;
  } else {
    memory_.push_back({memory, bytes});
  }
  bytes_ += bytes;
  return done;
}

Status LocalMover::flush() {
  if (bytes_ == 0) return {};
  const Status done = move();
  bytes_ = 0;
  memory_.clear();
  return done;
}

Status LocalMover::move() {
  std::size_t done = 0;
  std::size_t first = 0;  // segments before it are done
  while (done < bytes_) {
    iovec* from = memory_.data() + first;
    const int count = static_cast<int>(memory_.size() - first);
    const auto at = static_cast<off_t>(local_offset_ + done);
    ssize_t moved;
    if (count == 1) {
      moved = write_ ? ::pwrite(fd_, from->iov_base, from->iov_len, at)
                     : ::pread(fd_, from->iov_base, from->iov_len, at);
    } else {
      moved = write_ ? ::pwritev(fd_, from, count, at) : ::preadv(fd_, from, count, at);
    }
    if (moved < 0) {
      if (errno == EINTR) continue;
      return fail(errc_from_errno(errno), errno, server_);
    }
    if (moved == 0) {
      if (write_) return fail(Errc::io, EIO, server_);
      break;
    }
    done += static_cast<std::size_t>(moved);
    for (auto left = static_cast<std::size_t>(moved); left > 0;) {
      iovec& segment = memory_[first];
      const std::size_t part = std::min(left, segment.iov_len);
      segment.iov_base = static_cast<std::byte*>(segment.iov_base) + part;
      segment.iov_len -= part;
      left -= part;
      if (segment.iov_len == 0) ++first;
    }
  }
  moved_ = Moved{server_, done};
  for (std::uint64_t at = offset_ + done; first < memory_.size(); ++first) {
    missing_.push_back(
        {at, memory_[first].iov_len, static_cast<std::byte*>(memory_[first].iov_base)});
    at += memory_[first].iov_len;
  }
  return {};
}

}  // namespace benchfs
