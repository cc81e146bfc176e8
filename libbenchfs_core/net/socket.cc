// Nonblocking TCP on Loop::wait_fd. Names are looked up by a thread that ends with the look-up,
// since getaddrinfo has no asynchronous form and may take many seconds; numeric addresses need
// none.
#include "net/socket.hpp"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
#include <system_error>
#include <thread>
#include <vector>

#include "base/clock.hpp"
#include "base/text.hpp"

namespace benchfs {
namespace {

struct Address {
  sockaddr_storage storage{};
  socklen_t bytes = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

std::vector<Address> look_up(const std::string& host, std::uint16_t port, int flags) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  std::vector<Address> addresses;
  if (getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found) != 0)
    return addresses;
  for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
    Address& address = addresses.emplace_back();
    std::memcpy(&address.storage, at->ai_addr, at->ai_addrlen);
    address.bytes = at->ai_addrlen;
  }
  freeaddrinfo(found);
  return addresses;
}

/// Shared with the thread that looks a name up, which may outlive the wait for it.
struct Lookup {
  Fd done;
  std::vector<Address> addresses;
};

Task<std::vector<Address>> resolve(Loop& loop, std::string host, std::uint16_t port,
                                   std::int64_t deadline_ns) {
  std::vector<Address> numeric = look_up(host, port, AI_NUMERICHOST);
  if (!numeric.empty()) co_return numeric;
  auto lookup = std::make_shared<Lookup>();
  lookup->done = Fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!lookup->done) co_return numeric;
  try {
    std::thread([lookup, host, port] {
      lookup->addresses = look_up(host, port, AI_ADDRCONFIG);
      const std::uint64_t one = 1;
      [[maybe_unused]] const auto written = write(lookup->done.get(), &one, sizeof(one));
    }).detach();
  } catch (const std::system_error&) {  // no thread to be had
    co_return numeric;
  }
  const std::int64_t left_ns = std::max<std::int64_t>(0, deadline_ns - now_ns());
  const Status ready = co_await loop.wait_fd(lookup->done.get(), EPOLLIN, left_ns);
  if (!ready) co_return numeric;
  co_return std::move(lookup->addresses);
}

std::string address_text(const sockaddr* address, socklen_t bytes) {
  char host[NI_MAXHOST];
  char service[NI_MAXSERV];
  if (getnameinfo(address, bytes, host, sizeof(host), service, sizeof(service),
                  NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return "unknown address";
  }
  return std::strchr(host, ':') != nullptr ? "[" + std::string(host) + "]:" + service
                                           : std::string(host) + ":" + service;
}

void send_at_once(int fd) {
  const int one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

/// A connection to a port that nobody listens on can meet itself: TCP's simultaneous open, when the
/// local port chosen happens to be the same.
bool is_own_echo(int fd) {
  Address local;
  Address remote;
  local.bytes = remote.bytes = sizeof(sockaddr_storage);
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&local.storage), &local.bytes) != 0) return false;
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&remote.storage), &remote.bytes) != 0)
    return false;
  return local.bytes == remote.bytes &&
         std::memcmp(&local.storage, &remote.storage, local.bytes) == 0;
}

Task<Result<Socket>> connect_address(Loop& loop, Address address, std::int64_t deadline_ns) {
  Fd fd(socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) co_return fail(errc_from_errno(errno), errno);
  send_at_once(fd.get());
  if (connect(fd.get(), address.get(), address.bytes) != 0) {
    if (errno != EINPROGRESS) co_return fail(Errc::unreachable, errno);
    const std::int64_t left_ns = deadline_ns - now_ns();
    if (left_ns <= 0) co_return fail(Errc::timed_out, ETIMEDOUT);
    const Status ready = co_await loop.wait_fd(fd.get(), EPOLLOUT, left_ns);
    if (!ready) co_return std::unexpected(ready.error());
    int err = 0;
    socklen_t bytes = sizeof(err);
    if (getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &err, &bytes) != 0) err = errno;
    if (err != 0) co_return fail(Errc::unreachable, err);
  }
  if (is_own_echo(fd.get())) co_return fail(Errc::unreachable, ECONNREFUSED);
  co_return Socket(loop, std::move(fd), address_text(address.get(), address.bytes));
}

}  // namespace

void Fd::reset() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
}

void Socket::shutdown() {
  ::shutdown(fd_.get(), SHUT_RDWR);
}

Task<Status> Socket::read_exact(std::span<std::byte> into, std::int64_t deadline_ns) {
  while (!into.empty()) {
    const ssize_t got = recv(fd_.get(), into.data(), into.size(), 0);
    if (got > 0) {
      into = into.subspan(static_cast<std::size_t>(got));
      continue;
    }
    if (got == 0) co_return fail(Errc::unreachable, ECONNRESET);
    if (errno == EINTR) continue;
    if (errno != EAGAIN) co_return fail(Errc::unreachable, errno);
    const std::int64_t left_ns = deadline_ns - now_ns();
    if (left_ns <= 0) co_return fail(Errc::timed_out, ETIMEDOUT);
    const Status ready = co_await loop_->wait_fd(fd_.get(), EPOLLIN, left_ns);
    if (!ready) co_return std::unexpected(ready.error());
  }
  co_return Status{};
}

Task<Status> Socket::write_all(std::span<const std::byte> from, std::int64_t deadline_ns) {
  while (!from.empty()) {
    const ssize_t put = send(fd_.get(), from.data(), from.size(), MSG_NOSIGNAL);
    if (put >= 0) {
      from = from.subspan(static_cast<std::size_t>(put));
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) co_return fail(Errc::unreachable, errno);
    const std::int64_t left_ns = deadline_ns - now_ns();
    if (left_ns <= 0) co_return fail(Errc::timed_out, ETIMEDOUT);
    const Status ready = co_await loop_->wait_fd(fd_.get(), EPOLLOUT, left_ns);
    if (!ready) co_return std::unexpected(ready.error());
  }
  co_return Status{};
}

Task<Result<Socket>> connect_tcp(Loop& loop, std::string host, std::uint16_t port,
                                 std::int64_t deadline_ns) {
  std::vector<Address> addresses = co_await resolve(loop, host, port, deadline_ns);
  if (addresses.empty()) co_return fail(Errc::unreachable, EHOSTUNREACH);
  Error last{Errc::unreachable, EHOSTUNREACH};
  for (const Address& address : addresses) {
    Result<Socket> socket = co_await connect_address(loop, address, deadline_ns);
    if (socket) co_return std::move(socket);
    last = socket.error();
  }
  co_return std::unexpected(last);
}

std::expected<Listener, std::string> Listener::open(Loop& loop, const std::string& address,
                                                    std::uint16_t port) {
  const auto refuse = [&](const std::string& why) {
    return std::unexpected("cannot listen on " + format_host_port({address, port}) + ": " + why);
  };
  const std::vector<Address> found = look_up(address, port, AI_NUMERICHOST | AI_PASSIVE);
  if (found.empty()) return refuse("not an address");
  Fd fd(socket(found[0].storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return refuse(std::strerror(errno));
  const int one = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
  if (bind(fd.get(), found[0].get(), found[0].bytes) != 0) return refuse(std::strerror(errno));
  if (listen(fd.get(), SOMAXCONN) != 0) return refuse(std::strerror(errno));
  Address bound;
  bound.bytes = sizeof(sockaddr_storage);
  if (getsockname(fd.get(), reinterpret_cast<sockaddr*>(&bound.storage), &bound.bytes) != 0) {
    return refuse(std::strerror(errno));
  }
  const in_port_t taken = bound.storage.ss_family == AF_INET6
                              ? reinterpret_cast<const sockaddr_in6*>(&bound.storage)->sin6_port
                              : reinterpret_cast<const sockaddr_in*>(&bound.storage)->sin_port;
  return Listener(loop, std::move(fd), ntohs(taken));
}

void Listener::shutdown() {
  stopped_ = true;
  ::shutdown(fd_.get(), SHUT_RDWR);  // wakes a waiting accept()
}

Task<Result<Socket>> Listener::accept() {
  while (true) {
    if (stopped_) co_return fail(Errc::shutting_down);
    Address peer;
    peer.bytes = sizeof(sockaddr_storage);
    Fd fd(accept4(fd_.get(), reinterpret_cast<sockaddr*>(&peer.storage), &peer.bytes,
                  SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (fd) {
      send_at_once(fd.get());
      co_return Socket(*loop_, std::move(fd), address_text(peer.get(), peer.bytes));
    }
    const int err = errno;
    if (err == EINTR || err == ECONNABORTED) continue;
    if (err != EAGAIN) co_return fail(errc_from_errno(err), err);
    const Status ready = co_await loop_->wait_fd(fd_.get(), EPOLLIN, -1);
    if (!ready) co_return std::unexpected(ready.error());
  }
}

}  // namespace benchfs
