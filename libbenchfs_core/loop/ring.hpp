// The io_uring of a server's loop, as a source and as awaitable operations. liburing.h is included here
// and nowhere else. Submissions are batched once per turn, never by a timer; a full submission queue is
// flushed, a full ring is waited for.
#pragma once
#include <liburing.h>

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/status.hpp"
#include "loop/loop.hpp"
#include "loop/sync.hpp"

namespace benchfs {

class Ring final : public Source {
 public:
  struct Options {
    unsigned entries = 256;
  };
  /// `loop` outlives the ring; the ring adds itself as a source. Error: the kernel refuses io_uring
  /// (native: errno, EPERM where it is disabled).
  static Result<std::unique_ptr<Ring>> create(Loop& loop, Options options);
  ~Ring() override;
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;

  /// Registers one span of memory so that reads and writes inside it use fixed buffers. An ordinary
  /// user's memlock limit may forbid it (native ENOMEM): the caller logs it and goes on without.
  Status register_buffer(std::span<std::byte> memory);
  bool has_registered_buffer() const { return !registered_.empty(); }

  /// One operation. The buffer belongs to the kernel until it completes. Result: bytes moved, or the
  /// error of the device. Short counts are the caller's to handle.
  class Op;
  Op read(int fd, std::span<std::byte> into, std::uint64_t offset);
  Op write(int fd, std::span<const std::byte> from, std::uint64_t offset);
  Op fdatasync(int fd);

  bool poll() override;
  bool prepare_sleep() override;
  int descriptor() const override { return event_fd_; }

  unsigned in_flight() const { return in_flight_; }

 private:
  friend class Op;
  explicit Ring(Loop& loop) : loop_(loop) {}
  io_uring_sqe* next_sqe();
  bool inside_registered(const void* data, std::size_t bytes) const;

  Loop& loop_;
  io_uring ring_{};
  bool live_ = false;
  bool added_ = false;      ///< to the loop
  bool signalled_ = false;  ///< completions were seen since the eventfd was read
  int event_fd_ = -1;       ///< signalled by completions, and by deferred work that will make some
  unsigned capacity_ = 0;   ///< operations in flight at most: the completion queue never overflows
  unsigned in_flight_ = 0;
  std::span<std::byte> registered_;
  WaitQueue room_;
};

class Ring::Op {
 public:
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiter);
  Result<std::size_t> await_resume() const {
    if (result_ < 0) return fail(errc_from_errno(-result_), -result_);
    return static_cast<std::size_t>(result_);
  }

 private:
  friend class Ring;
  enum class Kind : std::uint8_t { read, write, fdatasync };
  Op(Ring& ring, Kind kind, int fd, void* data, std::size_t bytes, std::uint64_t offset)
      : ring_(ring), kind_(kind), fd_(fd), data_(data), bytes_(bytes), offset_(offset) {}
  void submit();
  static Task<void> submit_when_room(Op* op);

  Ring& ring_;
  Kind kind_;
  int fd_;
  void* data_;
  std::size_t bytes_;
  std::uint64_t offset_;
  std::coroutine_handle<> waiter_;
  std::int32_t result_ = 0;
};

}  // namespace benchfs
