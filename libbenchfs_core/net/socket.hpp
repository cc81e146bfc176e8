// TCP for bootstrap, as coroutines of a loop: connect, listen, and whole reads and writes, each
// with a deadline. Not for file data: that goes through the fabric.
//
// Deadlines are absolute, in now_ns(). A connection that the other side has closed is
// Errc::unreachable.
#pragma once
#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <string>
#include <utility>

#include "base/status.hpp"
#include "loop/loop.hpp"

namespace benchfs {

/// An error with a text for the user, for operations whose cause an Errc alone does not tell.
struct TextError {
  Errc code;
  std::string text;
};
template <class T>
using Explained = std::expected<T, TextError>;
inline std::unexpected<TextError> explain(Errc code, std::string text) {
  return std::unexpected(TextError{code, std::move(text)});
}

/// Owns a descriptor.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  ~Fd() { reset(); }
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  void reset();
  /// The descriptor is the caller's.
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_ = -1;
};

/// A connection. One reader or writer at a time; it must outlive their tasks.
class Socket {
 public:
  Socket(Loop& loop, Fd fd, std::string peer)
      : loop_(&loop), fd_(std::move(fd)), peer_(std::move(peer)) {}

  /// Fills `into`.
  Task<Status> read_exact(std::span<std::byte> into, std::int64_t deadline_ns);
  Task<Status> write_all(std::span<const std::byte> from, std::int64_t deadline_ns);
  /// Ends what is in progress with an error; the descriptor stays until destruction.
  void shutdown();
  /// "address:port" of the other side.
  const std::string& peer() const { return peer_; }
  int descriptor() const { return fd_.get(); }

 private:
  Loop* loop_;
  Fd fd_;
  std::string peer_;
};

/// Connects to `host` (a numeric address, or a name: looked up outside of the loop), trying its
/// addresses in order.
Task<Result<Socket>> connect_tcp(Loop& loop, std::string host, std::uint16_t port,
                                 std::int64_t deadline_ns);

class Listener {
 public:
  /// Listens on a numeric address; port 0 takes a free one. The error names the address.
  static std::expected<Listener, std::string> open(Loop& loop, const std::string& address,
                                                   std::uint16_t port);
  std::uint16_t port() const { return port_; }
  /// Waits for a connection. Errc::shutting_down after shutdown().
  Task<Result<Socket>> accept();
  void shutdown();

 private:
  Listener(Loop& loop, Fd fd, std::uint16_t port) : loop_(&loop), fd_(std::move(fd)), port_(port) {}
  Loop* loop_;
  Fd fd_;
  std::uint16_t port_;
  bool stopped_ = false;
};

}  // namespace benchfs
