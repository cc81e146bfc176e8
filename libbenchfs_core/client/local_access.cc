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
  local::Request request{};
  request.op = local::Op::hello;
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
  auto mapping = map_arena(server);
  BFS_CO_CHECK(mapped, co_await mapping);
  server.connected = true;
  server.looked_ns = coarse_now_ns();
  ordinal_ = reply.ordinal;
  co_return Status{};
}

Task<Status> LocalAccess::map_arena(Server& server) {
  Fd data, index;
  local::Request request{};
  request.op = local::Op::arena;
  auto asking = exchange(server, request, &data);
  BFS_CO_TRY(reply, co_await asking);
  if (reply.status == static_cast<std::uint32_t>(Errc::not_supported)) co_return Status{};
  const std::uint32_t slot = reply.ordinal;
  if (reply.status != 0 || !data) co_return fail(Errc::busy, EAGAIN);
  request.op = local::Op::arena_index;
  auto asking_index = exchange(server, request, &index);
  BFS_CO_TRY(with_index, co_await asking_index);
  if (with_index.status != 0 || !index) co_return fail(Errc::unreachable, ECONNREFUSED);
  auto view = arena::View::map(data.get(), index.get(), slot);
  if (!view) {
    log_info("the storage of a server on this host cannot be mapped ({}): messages are used",
             to_text(view.error().code));
    co_return std::unexpected(view.error());
  }
  static_cast<void>(index.release());  // it is the view's
  server.arena = std::move(*view);
  co_return Status{};
}

/// One question at a time, after connecting if that was not done yet; without a question no more
/// than that. A server that does not answer is given up.
Task<Status> LocalAccess::ask(Server& server, std::optional<local::Request> request, Fd* attached) {
  co_await server.turn.acquire();
  Status status;
  if (server.failed) status = fail(Errc::unreachable, ECONNRESET);
  if (status && !server.connected) {
    auto connecting = connect(server);
    status = co_await connecting;
    if (!status) give_up(server);
  }
  if (status && request) {
    auto asking = exchange(server, *request, attached);
    const Result<local::Reply> reply = co_await asking;
    if (!reply) {
      status = std::unexpected(reply.error());
      give_up(server);
    } else if (reply->status != 0) {
      status = fail(errc_from_wire(static_cast<std::uint16_t>(reply->status)));
    }
  }
  server.turn.release();
  co_return status;
}

Task<Status> LocalAccess::ready(ServerIndex index) {
  auto asking = ask(*servers_[index], std::nullopt, nullptr);
  co_return co_await asking;
}

Task<Status> LocalAccess::open_up(ServerIndex index, InodeId inode, std::uint64_t segment,
                                  std::uint32_t chunk_shift, std::uint32_t count, bool create) {
  const local::Request request{.op = local::Op::open_up,
                               .stripe = 0,
                               .inode = inode,
                               .create = create ? 1u : 0u,
                               .chunk_shift = chunk_shift,
                               .segment = segment,
                               .count = count,
                               .zero = 0};
  auto asking = ask(*servers_[index], request, nullptr);
  co_return co_await asking;
}

Task<Result<Fd>> LocalAccess::open(ServerIndex index, InodeId inode, unsigned stripe, bool create) {
  if (descriptors_ >= kDescriptorsMax) co_return fail(Errc::busy, EMFILE);
  ++descriptors_;
  Fd file;
  local::Request request{};
  request.op = local::Op::share;
  request.stripe = stripe;
  request.inode = inode;
  request.create = create ? 1u : 0u;
  auto asking = ask(*servers_[index], request, &file);
  Status status = co_await asking;
  // Given, but this process has no descriptor left for it.
  if (status && !file) status = fail(Errc::busy, EMFILE);
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
  local::Request request{};
  request.op = local::Op::release;
  request.stripe = stripe;
  request.inode = inode;
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
