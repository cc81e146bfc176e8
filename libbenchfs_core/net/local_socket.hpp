// Between processes of one user on one host: packets over a Unix socket, with descriptors. A server
// gives its chunk files, or its arena, to clients this way (docs/adr/0007-local-access.md,
// 0024-arena.md).
//
// The socket has an abstract name made of the server's instance, so it is seen within one network
// namespace alone and goes with the process. Each side takes the kernel's word for the user id of
// the other, and talks to nobody but its own user.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/status.hpp"
#include "net/socket.hpp"

namespace benchfs::local {

enum class Op : std::uint32_t {
  // 1 was a hello with a smaller memory.
  share = 2,        ///< reply: the descriptor of a local file
  release = 3,      ///< the client has closed one; no reply
  watch = 4,        ///< reply: the Signs with it
  hello = 5,        ///< reply: the connection's ordinal, and the Counters with it
  arena = 6,        ///< reply: the connection's slot, and the arena's blocks with it
  arena_index = 7,  ///< reply: the arena's index with it
  open_up = 8,      ///< segments of a file in the arena
};

struct Request {
  Op op;
  std::uint32_t stripe;  ///< which local file of the inode
  std::uint64_t inode;
  std::uint32_t create;       ///< make it if it is missing: 0 or 1
  std::uint32_t chunk_shift;  ///< of the file
  std::uint64_t segment;      ///< open_up: this one, and if `create` is 1 ...
  std::uint32_t count;        ///< ... so many in all, as they follow on this server
  std::uint32_t zero;
};
struct Reply {
  std::uint32_t status;   ///< an Errc, or 0
  std::uint32_t ordinal;  ///< of the connection, from 0; or its slot
  std::uint64_t instance;
};
static_assert(sizeof(Request) == 40 && sizeof(Reply) == 16);

/// Of one client, in memory that both sides see and change.
struct Counters {
  /// What the client has moved itself: the server adds it to its own counts.
  std::atomic<std::uint64_t> requests, read_bytes, written_bytes;
  /// Bytes, in whole blocks, that the client has begun to write, and that it has ended to write.
  /// It adds to `begun` first, and then writes if `begun` is not beyond `allowed`, which the server
  /// sets (docs/adr/0012-space.md). These two have to be seen in one order by both: seq_cst. What
  /// has ended is stored behind it: seen late, it is taken for lent a little longer.
  std::atomic<std::uint64_t> begun, ended, allowed;
  std::atomic<std::uint64_t> block_bytes;  ///< of the server's storage, set before it is given out
};

/// What a server shows to all its clients, in memory that they can only read. Without the sign of
/// life a server that hangs would go unnoticed by who does not need it.
struct Signs {
  std::atomic<std::int64_t> alive_ns;  ///< the monotonic clock of this host, now and then
  /// Local files made, from 1: a file that was missing at one count still is at the same count.
  /// Counted before anything is written to the file.
  std::atomic<std::uint64_t> files_made;
};
constexpr std::int64_t kAliveEveryNs = 250'000'000;

/// A socket that listens, nonblocking.
Result<Fd> listen_on(std::uint64_t instance);
/// The next connection that waits, of our own user; Errc::busy if there is none.
Result<Fd> accept_from(const Fd& listener);
/// Connected and nonblocking. Errc::unreachable if nobody of our user listens in this namespace.
Result<Fd> connect_to(std::uint64_t instance);

/// Sends one packet, with a descriptor unless `attached` is negative. Errc::busy if it has to wait.
Status send_packet(const Fd& socket, std::span<const std::byte> packet, int attached = -1);
/// Takes one packet of just this size, and the descriptor that comes with it. Errc::busy: there is
/// none yet; unreachable: the other side has hung up; bad_message: another size.
Status receive_packet(const Fd& socket, std::span<std::byte> packet, Fd* attached = nullptr);
/// Whether the other side has hung up, by a system call.
bool hung_up(const Fd& socket);

}  // namespace benchfs::local
