// Asking for descriptors, one question at a time on each connection.
#include "client/local_access.hpp"

#include <sys/mman.h>
#include <sys/resource.h>

#include <algorithm>

#include "base/clock.hpp"
#include "base/log.hpp"
#include "net/host.hpp"

namespace benchfs {
namespace {

/// The program needs descriptors, too: most programs may have 1024.
constexpr std::size_t kDescriptorsMax = 384;
/// A busy host may keep a server from showing life for some time.
constexpr std::int64_t kAlivesMissed = 4;

/// A limit on file sizes would end the program with SIGXFSZ, where a server answers with an error.
bool file_size_limited() {
  rlimit limit{};
  return getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
}

}  // namespace

LocalAccess::Server::~Server() {
  if (counters != nullptr) ::munmap(counters, sizeof(*counters));
  if (signs != nullptr) ::munmap(const_cast<local::Signs*>(signs), sizeof(*signs));
}

LocalAccess::LocalAccess(Loop& loop, std::span<const ServerRecord> servers, bool enabled,
                         std::int64_t timeout_ms)
    : loop_(loop),
      timeout_ns_(timeout_ms * 1'000'000),
      silence_max_ns_(std::max(timeout_ns_, kAlivesMissed * local::kAliveEveryNs)),
      servers_(servers.size()) {
  if (!enabled || file_size_limited()) return;
  const std::uint64_t here = host_id();
  for (std::size_t i = 0; i < servers.size(); ++i) {
    if (servers[i].host_id != here) continue;
    servers_[i] = std::make_unique<Server>(servers[i]);
    possible_ = true;
  }
}

LocalAccess::~LocalAccess() = default;

void LocalAccess::give_up(Server& server) {
  server.failed = true;
  server.socket.reset();
  possible_ = false;
  for (const auto& other : servers_) {
    if (other != nullptr && !other->failed) possible_ = true;
  }
}

bool LocalAccess::still_there(Server& server, std::int64_t now_ns) {
  server.looked_ns = now_ns;
  if (!local::hung_up(server.socket)) return true;
  give_up(server);
  return false;
}

bool LocalAccess::all_usable() {
  if (!possible_) return false;
  for (ServerIndex i = 0; i < servers_.size(); ++i) {
    if (!usable(i)) return false;
  }
  return true;
}

Task<Result<local::Reply>> LocalAccess::exchange(Server& server, local::Request request,
                                                 Fd* attached) {
  BFS_CO_CHECK(sent, local::send_packet(server.socket, std::as_bytes(std::span{&request, 1})));
  const std::int64_t deadline_ns = now_ns() + timeout_ns_;
  while (true) {
    local::Reply reply{};
    const Status got = local::receive_packet(
        server.socket, std::as_writable_bytes(std::span{&reply, 1}), attached);
    if (got) co_return reply;
    if (got.error().code != Errc::busy) co_return std::unexpected(got.error());
    const std::int64_t left_ns = deadline_ns - now_ns();
    if (left_ns <= 0) co_return fail(Errc::timed_out, ETIMEDOUT);
    BFS_CO_CHECK(ready, co_await loop_.wait_fd(server.socket.get(), EPOLLIN, left_ns));
  }
}

Task<Status> LocalAccess::connect(Server& server) {
  BFS_CO_TRY(socket, local::connect_to(server.instance));
  server.socket = std::move(socket);
  Fd memory;
  local::Request request{local::Op::hello, 0, 0, 0, 0};
  auto greeting = exchange(server, request, &memory);
  BFS_CO_TRY(reply, co_await greeting);
  if (reply.status != 0 || reply.instance != server.instance || !memory) {
    co_return fail(Errc::unreachable, ECONNREFUSED);
  }
  void* counters =
      ::mmap(nullptr, sizeof(local::Counters), PROT_READ | PROT_WRITE, MAP_SHARED, memory.get(), 0);
  if (counters == MAP_FAILED) co_return fail(Errc::no_memory, errno);
  server.counters = static_cast<local::Counters*>(counters);

  request.op = local::Op::watch;
  auto watching = exchange(server, request, &memory);
  BFS_CO_TRY(watched, co_await watching);
  if (watched.status != 0 || !memory) co_return fail(Errc::unreachable, ECONNREFUSED);
  void* signs = ::mmap(nullptr, sizeof(local::Signs), PROT_READ, MAP_SHARED, memory.get(), 0);
  if (signs == MAP_FAILED) co_return fail(Errc::no_memory, errno);
  server.signs = static_cast<const local::Signs*>(signs);
  server.connected = true;
  server.looked_ns = coarse_now_ns();
  ordinal_ = reply.ordinal;
  co_return Status{};
}

Task<Result<Fd>> LocalAccess::open(ServerIndex index, InodeId inode, unsigned stripe, bool create) {
  Server& server = *servers_[index];
  if (descriptors_ >= kDescriptorsMax) co_return fail(Errc::busy, EMFILE);
  ++descriptors_;
  co_await server.turn.acquire();
  Status status;
  Fd file;
  if (server.failed) status = fail(Errc::unreachable, ECONNRESET);
  if (status && !server.connected) {
    auto connecting = connect(server);
    status = co_await connecting;
    if (!status) give_up(server);
  }
  if (status) {
    auto asking = exchange(server,
                           {.op = local::Op::share,
                            .stripe = stripe,
                            .inode = inode,
                            .create = create ? 1u : 0u,
                            .zero = 0},
                           &file);
    const Result<local::Reply> reply = co_await asking;
    if (!reply) {
      status = std::unexpected(reply.error());
      give_up(server);
    } else if (reply->status != 0) {
      status = fail(static_cast<Errc>(reply->status), 0);
    } else if (!file) {  // given, but this process has no descriptor left for it
      status = fail(Errc::busy, EMFILE);
    }
  }
  server.turn.release();
  if (!status) {
    --descriptors_;
    co_return std::unexpected(status.error());
  }
  co_return file;
}

void LocalAccess::release(ServerIndex index, InodeId inode, unsigned stripe, Fd& file) {
  Server& server = *servers_[index];
  file.reset();
  --descriptors_;
  if (server.failed) return;
  const local::Request request{local::Op::release, stripe, inode, 0, 0};
  // What is not told now, the server learns when the connection ends.
  static_cast<void>(local::send_packet(server.socket, std::as_bytes(std::span{&request, 1})));
}

void LocalAccess::release(InodeId inode, LocalFiles& files) {
  for (ServerIndex i = 0; i < files.of_server_.size(); ++i) {
    if (files.of_server_[i] == nullptr) continue;
    for (unsigned stripe = 0; stripe < kStripeFiles; ++stripe) {
      Fd& fd = (*files.of_server_[i])[stripe].fd;
      if (fd) release(i, inode, stripe, fd);
    }
  }
}

std::uint64_t LocalAccess::files_made(ServerIndex index) const {
  const Server& server = *servers_[index];
  return server.signs != nullptr ? server.signs->files_made.load(std::memory_order_acquire) : 0;
}

}  // namespace benchfs
