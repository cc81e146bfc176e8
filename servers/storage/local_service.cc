// One coroutine for each client that is connected; none of them does more than open a file.
#include "storage/local_service.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <unordered_map>

#include "base/clock.hpp"
#include "base/log.hpp"
#include "placement/stripes.hpp"
#include "storage/arena.hpp"
#include "storage/file_chunks.hpp"

namespace benchfs {
namespace {

constexpr std::int64_t kAcceptRetryNs = 100'000'000;
/// Less is not worth lending to a client.
constexpr std::uint64_t kShareMin = 1 << 20;
/// Segments made at a time for a client that writes on, and chunks looked at for them.
constexpr std::uint32_t kAheadMax = 64;
constexpr unsigned kLooksMax = 4096;
/// Where there is nothing to run out of.
constexpr std::uint64_t kNoEnd = 1ull << 62;

/// Zeroed memory in a file of its own that can be given away. Nobody can change its size.
template <class T>
class SharedMemory {
 public:
  /// clients_write: whether those that get the descriptor may write.
  SharedMemory(const char* name, bool clients_write)
      : fd_(::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING)) {
    if (!fd_ || ::ftruncate(fd_.get(), sizeof(T)) != 0) return;
    void* memory = ::mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED, fd_.get(), 0);
    if (memory == MAP_FAILED) return;
    memory_ = static_cast<T*>(memory);
    int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
    if (!clients_write) seals |= F_SEAL_FUTURE_WRITE;
    if (::fcntl(fd_.get(), F_ADD_SEALS, seals) != 0) release();
  }
  ~SharedMemory() { release(); }
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;
  int descriptor() const { return fd_.get(); }
  /// Null: not to be had.
  T* get() const { return memory_; }

 private:
  void release() {
    if (memory_ != nullptr) ::munmap(memory_, sizeof(T));
    memory_ = nullptr;
  }
  Fd fd_;
  T* memory_ = nullptr;
};

}  // namespace

class LocalService::SharedSigns : public SharedMemory<local::Signs> {
 public:
  SharedSigns() : SharedMemory("benchfs-signs", false) {}
  void show_life() { get()->alive_ns.store(now_ns(), std::memory_order_relaxed); }
};

struct LocalService::Client {
  struct Given {
    FileChunks::Share share;
    std::uint32_t count;
  };
  Fd socket;
  std::uint32_t ordinal = 0;
  SharedMemory<local::Counters> counters{"benchfs-counters", true};
  std::unordered_map<ChunkFile, Given, ChunkFileHash> files;
  std::optional<std::uint32_t> slot;  ///< in the arena
};

Result<std::unique_ptr<LocalService>> LocalService::start(Loop& loop, ChunkStore& store,
                                                          Options options) {
  BFS_TRY(listener, local::listen_on(options.instance));
  auto signs = std::make_unique<SharedSigns>();
  if (signs->get() == nullptr) return fail(Errc::no_memory, ENOMEM);
  std::unique_ptr<LocalService> service(
      new LocalService(loop, store, options, std::move(listener), std::move(signs)));
  const Loop::Scope scope(loop);
  store.tend();
  service->accept_all().detach();
  return service;
}

LocalService::LocalService(Loop& loop, ChunkStore& store, Options options, Fd listener,
                           std::unique_ptr<SharedSigns> signs)
    : loop_(loop),
      store_(store),
      options_(options),
      listener_(std::move(listener)),
      signs_(std::move(signs)),
      life_(loop, local::kAliveEveryNs, [this] {
        signs_->show_life();
        store_.tend();
        lend();
      }) {
  signs_->show_life();
  signs_->get()->files_made.store(1, std::memory_order_relaxed);
  store_.count_made_in(&signs_->get()->files_made);
  if (options_.space != nullptr) options_.space->set_lender(this);
}

LocalService::~LocalService() {
  BFS_ASSERT(gate_.closed() && gate_.inside() == 0);
  store_.count_made_in(nullptr);
  if (options_.space != nullptr) options_.space->set_lender(nullptr);
}

Task<void> LocalService::accept_all() {
  const Gate::Pass pass = gate_.enter();
  while (!gate_.closed()) {
    Result<Fd> socket = local::accept_from(listener_);
    if (socket) {
      if (clients_.size() < options_.clients_max) serve(std::move(*socket), gate_.enter()).detach();
      continue;
    }
    if (socket.error().code == Errc::busy) {
      const Status ready = co_await loop_.wait_fd(listener_.get(), EPOLLIN, -1);
      if (ready) continue;
    }
    if (gate_.closed()) break;
    co_await loop_.sleep_ns(kAcceptRetryNs);  // out of descriptors or memory
  }
}

Task<void> LocalService::serve(Fd socket, [[maybe_unused]] Gate::Pass pass) {
  Client client;
  client.socket = std::move(socket);
  client.ordinal = next_ordinal_++;
  const auto position = clients_.insert(clients_.end(), &client);
  while (!gate_.closed()) {
    local::Request request{};
    const Status got =
        local::receive_packet(client.socket, std::as_writable_bytes(std::span{&request, 1}));
    if (got) {
      if (request.op == local::Op::open_up && request.create != 0) {
        auto ready = store_.blocks_ready();
        co_await ready;
      }
      if (!answer(client, request)) break;
      continue;
    }
    if (got.error().code != Errc::busy) break;
    const Status ready = co_await loop_.wait_fd(client.socket.get(), EPOLLIN, -1);
    if (!ready) break;
  }
  clients_.erase(position);
  shares_ -= client.files.size();
  if (client.slot) store_.arena()->detach(*client.slot);
  if (client.counters.get() != nullptr) add(ended_, *client.counters.get());
}

bool LocalService::reply(Client& client, std::uint32_t status, int attached,
                         std::uint32_t ordinal) {
  const local::Reply packet{status, ordinal, options_.instance};
  return local::send_packet(client.socket, std::as_bytes(std::span{&packet, 1}), attached)
      .has_value();
}

/// False: hang up.
bool LocalService::answer(Client& client, const local::Request& request) {
  switch (request.op) {
    case local::Op::hello:
      if (client.counters.get() == nullptr) return reply(client, Errc::no_memory);
      lend();
      return reply(client, 0, client.counters.descriptor(), client.ordinal);
    case local::Op::watch:
      return reply(client, 0, signs_->descriptor());
    case local::Op::share:
    case local::Op::release:
      return answer_for_files(client, request);
    case local::Op::arena:
    case local::Op::arena_index:
    case local::Op::open_up:
      return answer_for_arena(client, request);
  }
  return false;
}

bool LocalService::answer_for_files(Client& client, const local::Request& request) {
  FileChunks* store = store_.files();
  if (store == nullptr || request.stripe >= kStripeFiles) return false;
  const ChunkFile file(request.inode, request.stripe);
  const auto found = client.files.find(file);
  if (request.op == local::Op::release) {
    if (found != client.files.end() && --found->second.count == 0) {
      client.files.erase(found);
      --shares_;
    }
    return true;
  }
  // Who asks for a file to be made writes it, and files with a quota are written by messages.
  if (request.create != 0 && quota_of(request.inode) != 0) {
    return reply(client, Errc::not_supported);
  }
  if (found != client.files.end()) {
    ++found->second.count;
    return reply(client, 0, found->second.share.descriptor());
  }
  if (shares_ >= options_.shares_max) return reply(client, Errc::busy);
  Result<FileChunks::Share> share = store->share(file, request.create != 0);
  if (!share) return reply(client, share.error().code);
  const int descriptor = share->descriptor();
  client.files.emplace(file, Client::Given{std::move(*share), 1});
  ++shares_;
  return reply(client, 0, descriptor);
}

bool LocalService::answer_for_arena(Client& client, const local::Request& request) {
  Arena* arena = store_.arena();
  if (arena == nullptr) return reply(client, Errc::not_supported);
  if (request.op == local::Op::arena) {
    if (!client.slot) {
      const Result<std::uint32_t> slot = arena->attach();
      if (!slot) return reply(client, slot.error().code);
      client.slot = *slot;
    }
    return reply(client, 0, arena->data_fd(), *client.slot);
  }
  if (!client.slot) return false;
  if (request.op == local::Op::arena_index) return reply(client, 0, arena->index_fd());
  const Status opened = open_up(request);
  return opened ? reply(client, std::uint32_t{0}) : reply(client, opened.error().code);
}

/// Makes the maps of the segments that a client is going to write, which it cannot make itself.
Status LocalService::open_up(const local::Request& request) {
  const std::uint64_t segments = kFileBytesMax >> arena::kSegmentShift;
  if (request.segment >= segments || request.chunk_shift >= 32) return fail(Errc::bad_message);
  const bool create = request.create != 0;
  if (create && quota_of(request.inode) != 0) return fail(Errc::not_supported);
  BFS_CHECK(opened, store_.open_up(request.inode, create));
  if (!create) return {};
  Arena& arena = *store_.arena();
  const auto make = [&](std::uint64_t segment) -> Status {
    const auto made = arena.make(request.inode, segment);
    if (!made) return std::unexpected(made.error());
    return {};
  };
  BFS_CHECK(made, make(request.segment));
  // Further ones are a service: where they are not to be had, the client asks again.
  std::uint32_t left = std::min(request.count, kAheadMax) - 1;
  if (request.count == 0 || request.chunk_shift < arena::kSegmentShift) left = 0;
  const unsigned shift = request.chunk_shift - arena::kSegmentShift;
  std::uint64_t segment = request.segment + 1;
  for (unsigned looked = 0; left > 0 && segment < segments && looked < kLooksMax; ++looked) {
    const std::uint64_t chunk = segment >> shift;
    const bool here =
        options_.map == nullptr || options_.map->owner(request.inode, chunk) == options_.self;
    if (!here) {
      segment = (chunk + 1) << shift;
      continue;
    }
    if (!make(segment)) break;
    ++segment;
    --left;
  }
  return {};
}

/// Divides what may be lent among the clients, anew.
void LocalService::lend() {
  if (clients_.empty()) return;
  std::uint64_t share = kNoEnd;
  std::uint64_t block_bytes = 1;
  if (options_.space != nullptr) {
    recall();
    share = options_.space->lendable() / clients_.size();
    block_bytes = options_.space->block_bytes();
    if (share < kShareMin) share = 0;
  }
  for (const Client* client : clients_) {
    local::Counters* counters = client->counters.get();
    if (counters == nullptr) continue;
    counters->block_bytes = block_bytes;
    if (share > 0) counters->allowed = counters->begun + share;
  }
}

// What a client has ended is read before what it has begun, so that no more is taken for ended.
std::uint64_t LocalService::lent() const {
  std::uint64_t sum = 0;
  for (const Client* client : clients_) {
    const local::Counters* counters = client->counters.get();
    if (counters == nullptr) continue;
    const std::uint64_t ended = counters->ended;
    const std::uint64_t begun = counters->begun;
    const std::uint64_t allowed = counters->allowed;
    const std::uint64_t most = std::max(begun, allowed);
    sum += most - std::min(most, ended);
  }
  return sum;
}

void LocalService::recall() {
  for (const Client* client : clients_) {
    if (client->counters.get() != nullptr) client->counters.get()->allowed = 0;
  }
}

void LocalService::add(Moved& sum, const local::Counters& counters) {
  sum.requests += counters.requests.load(std::memory_order_relaxed);
  sum.read_bytes += counters.read_bytes.load(std::memory_order_relaxed);
  sum.written_bytes += counters.written_bytes.load(std::memory_order_relaxed);
}

LocalService::Moved LocalService::moved() const {
  Moved sum = ended_;
  for (const Client* client : clients_) {
    if (client->counters.get() != nullptr) add(sum, *client->counters.get());
  }
  return sum;
}

Task<void> LocalService::close() {
  gate_.close();
  ::shutdown(listener_.get(), SHUT_RDWR);  // wakes who waits on it
  for (const Client* client : clients_) ::shutdown(client->socket.get(), SHUT_RDWR);
  auto drained = gate_.drained();
  co_await drained;
}

}  // namespace benchfs
