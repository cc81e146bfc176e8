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
/// How long a server's end goes unnoticed, at most, while its files are used.
constexpr std::int64_t kLookEveryNs = 50'000'000;
/// A busy host may keep a server from showing life for some time.
constexpr std::int64_t kAlivesMissed = 4;

/// One writer, this session, under its lock: no need for an atomic addition.
void add(std::atomic<std::uint64_t>& sum, std::uint64_t value,
         std::memory_order order = std::memory_order_relaxed) {
  sum.store(sum.load(std::memory_order_relaxed) + value, order);
}

/// A limit on file sizes would end the program with SIGXFSZ, where a server answers with an error.
bool file_size_limited() {
  rlimit limit{};
  return getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
}

}  // namespace

struct LocalAccess::Server {
  explicit Server(const ServerRecord& record) : instance(record.instance) {}
  ~Server() {
    if (counters != nullptr) ::munmap(counters, sizeof(*counters));
    if (signs != nullptr) ::munmap(const_cast<local::Signs*>(signs), sizeof(*signs));
  }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  std::uint64_t instance;
  bool connected = false;
  bool failed = false;  ///< for good: every instance has a name of its own
  std::int64_t looked_ns = 0;
  Fd socket;
  local::Counters* counters = nullptr;
  const local::Signs* signs = nullptr;
  Semaphore turn{1};
};

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

bool LocalAccess::usable(ServerIndex index) {
  Server* server = servers_[index].get();
  if (server == nullptr || server->failed) return false;
  if (!server->connected) return true;
  const std::int64_t now = coarse_now_ns();
  if (now - server->signs->alive_ns.load(std::memory_order_relaxed) > silence_max_ns_) return false;
  if (now - server->looked_ns < kLookEveryNs) return true;
  server->looked_ns = now;
  if (!local::hung_up(server->socket)) return true;
  give_up(*server);
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

bool LocalAccess::borrow(ServerIndex index, std::uint64_t bytes) {
  const Server& server = *servers_[index];
  if (server.counters == nullptr) return false;
  if (server.counters->begun.fetch_add(bytes) + bytes <= server.counters->allowed.load()) {
    return true;
  }
  give_back(index, bytes);
  return false;
}

void LocalAccess::give_back(ServerIndex index, std::uint64_t bytes) {
  add(servers_[index]->counters->ended, bytes, std::memory_order_release);
}

LocalAccess::Blocks LocalAccess::blocks_of(ServerIndex index, std::uint64_t offset,
                                           std::uint64_t bytes) const {
  const Server& server = *servers_[index];
  const std::uint64_t block =
      server.counters != nullptr ? std::max<std::uint64_t>(server.counters->block_bytes, 1) : 1;
  return {offset / block * block, (offset + bytes + block - 1) / block * block};
}

std::uint64_t LocalAccess::files_made(ServerIndex index) const {
  const Server& server = *servers_[index];
  return server.signs != nullptr ? server.signs->files_made.load(std::memory_order_acquire) : 0;
}

void LocalAccess::count(ServerIndex index, bool write, std::uint64_t bytes) {
  local::Counters& counters = *servers_[index]->counters;
  add(counters.requests, 1);
  add(write ? counters.written_bytes : counters.read_bytes, bytes);
}

}  // namespace benchfs
