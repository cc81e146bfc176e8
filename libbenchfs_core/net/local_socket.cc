// SOCK_SEQPACKET: whole packets, and an end that is noticed.
#include "net/local_socket.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/text.hpp"

namespace benchfs::local {
namespace {

struct Address {
  sockaddr_un name{};
  socklen_t bytes = 0;
  explicit Address(std::uint64_t instance) {
    const std::string text = "benchfs-" + to_hex(instance);
    name.sun_family = AF_UNIX;
    std::memcpy(name.sun_path + 1, text.data(), text.size());  // a first byte of 0: abstract
    bytes = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + text.size());
  }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&name); }
};

Fd make_socket() {
  return Fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

bool is_our_user(const Fd& socket) {
  ucred peer{};
  socklen_t bytes = sizeof(peer);
  return ::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &bytes) == 0 &&
         peer.uid == ::geteuid();
}

std::unexpected<Error> failed() {
  return fail(errno == EAGAIN ? Errc::busy : errc_from_errno(errno), errno);
}

/// Room for one descriptor.
struct Control {
  alignas(cmsghdr) char bytes[CMSG_SPACE(sizeof(int))];
};

}  // namespace

Result<Fd> listen_on(std::uint64_t instance) {
  const Address address(instance);
  Fd socket = make_socket();
  if (!socket || ::bind(socket.get(), address.get(), address.bytes) != 0 ||
      ::listen(socket.get(), SOMAXCONN) != 0) {
    return failed();
  }
  return socket;
}

Result<Fd> accept_from(const Fd& listener) {
  while (true) {
    Fd socket(::accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (socket && is_our_user(socket)) return socket;
    if (!socket && errno != EINTR && errno != ECONNABORTED) return failed();
  }
}

Result<Fd> connect_to(std::uint64_t instance) {
  const Address address(instance);
  Fd socket = make_socket();
  if (!socket || ::connect(socket.get(), address.get(), address.bytes) != 0 ||
      !is_our_user(socket)) {
    return fail(Errc::unreachable, ECONNREFUSED);
  }
  return socket;
}

Status send_packet(const Fd& socket, std::span<const std::byte> packet, int attached) {
  iovec data{const_cast<std::byte*>(packet.data()), packet.size()};  // only read from
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  Control control{};
  if (attached >= 0) {
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof(control.bytes);
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &attached, sizeof(int));
  }
  while (::sendmsg(socket.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
    if (errno != EINTR) return failed();
  }
  return {};
}

Status receive_packet(const Fd& socket, std::span<std::byte> packet, Fd* attached) {
  iovec data{packet.data(), packet.size()};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  Control control{};
  message.msg_control = control.bytes;
  message.msg_controllen = sizeof(control.bytes);
  ssize_t count = -1;
  while ((count = ::recvmsg(socket.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC)) < 0) {
    if (errno != EINTR) return failed();
  }
  // Whatever came is owned, wanted or not.
  Fd got;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(header), sizeof(int));
    got = Fd(fd);
  }
  if (count == 0) return fail(Errc::unreachable, ECONNRESET);
  if (static_cast<std::size_t>(count) != packet.size() || (message.msg_flags & MSG_TRUNC) != 0) {
    return fail(Errc::bad_message, EBADMSG);
  }
  if (attached != nullptr) *attached = std::move(got);
  return {};
}

bool hung_up(const Fd& socket) {
  char byte;
  const ssize_t count = ::recv(socket.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR);
}

}  // namespace benchfs::local
