// Data of servers on this host, read and written by this process itself: one copy, no message, no
// other process. A server has chunk files, or an arena in memory. docs/adr/0007-local-access.md,
// 0024-arena.md. Private to client/.
//
// Whatever stands in the way (another host, another user, a server that does not offer it, no more
// descriptors) is no error: messages do the same. The files of a server that has hung up are not
// touched any more, nor those of one that shows no life, so that a server that is dead or hangs is
// noticed here as anywhere.
#pragma once
#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "arena/view.hpp"
#include "base/clock.hpp"
#include "loop/loop.hpp"
#include "loop/sync.hpp"
#include "net/cluster_info.hpp"
#include "net/local_socket.hpp"
#include "placement/stripes.hpp"

namespace benchfs {

/// One local file, as far as this session knows it.
struct LocalFile {
  Fd fd;                         ///< none: not open
  std::uint64_t missing_at = 0;  ///< it was missing when its server had made so many files; 0: no
  std::uint32_t opened_up = 0;   ///< in an arena: segments that were asked for at once, last time
};

/// Those of one open file.
class LocalFiles {
 public:
  explicit LocalFiles(std::size_t servers) : of_server_(servers) {}
  LocalFile& at(ServerIndex server, unsigned stripe) {
    auto& files = of_server_[server];
    if (files == nullptr) files = std::make_unique<std::array<LocalFile, kStripeFiles>>();
    return (*files)[stripe];
  }

 private:
  friend class LocalAccess;
  std::vector<std::unique_ptr<std::array<LocalFile, kStripeFiles>>> of_server_;
};

class LocalAccess {
 public:
  /// timeout_ms: how long a server may take to answer before messages are used for good, and
  /// about how long it may show no life before they are used until it does.
  LocalAccess(Loop& loop, std::span<const ServerRecord> servers, bool enabled,
              std::int64_t timeout_ms);
  ~LocalAccess();
  LocalAccess(const LocalAccess&) = delete;
  LocalAccess& operator=(const LocalAccess&) = delete;

  /// Whether files of any server may be had. False for good once there is none.
  bool possible() const { return possible_; }
  /// Whether files of this server may be had, as far as is known. Cheap, for every piece.
  bool usable(ServerIndex index) {
    Server* server = servers_[index].get();
    if (server == nullptr || server->failed) return false;
    if (!server->connected) return true;
    const std::int64_t now_ns = coarse_now_ns();
    const std::int64_t alive_ns = server->signs->alive_ns.load(std::memory_order_relaxed);
    if (now_ns - alive_ns > silence_max_ns_) return false;
    return now_ns - server->looked_ns < kLookEveryNs || still_there(*server, now_ns);
  }
  /// The same of all servers.
  bool all_usable();
  bool connected(ServerIndex index) const { return servers_[index]->connected; }
  /// Connects, if that was not done yet. Error: use messages.
  Task<Status> ready(ServerIndex server);
  /// The server's arena; null: it has none, or is not connected.
  arena::View* arena(ServerIndex index) const { return servers_[index]->arena.get(); }
  /// Has the server make ready a segment of a file in its arena, to write to it, and `count` in
  /// all, as they follow there; or, without `create`, put what it has of the file into the arena.
  /// Errors: not_found: it has nothing; any other: use messages.
  Task<Status> open_up(ServerIndex server, InodeId inode, std::uint64_t segment,
                       std::uint32_t chunk_shift, std::uint32_t count, bool create);
  /// A descriptor of a local file. Errors: not_found: it is missing and `create` is false; any
  /// other: use messages.
  Task<Result<Fd>> open(ServerIndex server, InodeId inode, unsigned stripe, bool create);
  /// Local files that the server has made, so far; 0 as long as it is not known.
  std::uint64_t files_made(ServerIndex server) const;
  /// Closes a descriptor.
  void release(ServerIndex server, InodeId inode, unsigned stripe, Fd& file);
  /// Closes all descriptors of a file.
  void release(InodeId inode, LocalFiles& files);
  /// Before a write: whether the server lets this process allocate `bytes` in its files without
  /// asking. If so, they are to be given back when the write has ended.
  bool borrow(ServerIndex index, std::uint64_t bytes) {
    local::Counters* counters = servers_[index]->counters;
    if (counters == nullptr) return false;
    if (counters->begun.fetch_add(bytes) + bytes <= counters->allowed.load()) return true;
    give_back(index, bytes);
    return false;
  }
  void give_back(ServerIndex index, std::uint64_t bytes) {
    add(servers_[index]->counters->ended, bytes, std::memory_order_release);
  }
  /// The blocks of the server's storage that a range of a local file is in.
  struct Blocks {
    std::uint64_t begin, end;
    std::uint64_t bytes() const { return end - begin; }
  };
  Blocks blocks_of(ServerIndex index, std::uint64_t offset, std::uint64_t bytes) const {
    const local::Counters* counters = servers_[index]->counters;
    const std::uint64_t block =
        counters != nullptr ? std::max<std::uint64_t>(counters->block_bytes, 1) : 1;
    return {offset / block * block, (offset + bytes + block - 1) / block * block};
  }
  /// Tells the server what was moved.
  void count(ServerIndex index, bool write, std::uint64_t bytes) {
    local::Counters& counters = *servers_[index]->counters;
    add(counters.requests, 1);
    add(write ? counters.written_bytes : counters.read_bytes, bytes);
  }
  /// Different for the processes that use a server at the same time, as far as is known.
  unsigned ordinal() const { return ordinal_; }

 private:
  /// How long a server's end goes unnoticed, at most, while its files are used.
  static constexpr std::int64_t kLookEveryNs = 50'000'000;
  struct Server {
    explicit Server(const ServerRecord& record) : instance(record.instance) {}
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    std::uint64_t instance;
    bool connected = false;
    bool failed = false;  ///< for good: every instance has a name of its own
    std::int64_t looked_ns = 0;
    Fd socket;
    local::Counters* counters = nullptr;
    const local::Signs* signs = nullptr;
    std::unique_ptr<arena::View> arena;  ///< null: it has files
    Semaphore turn{1};
  };
  /// One writer, this session, under its lock: no need for an atomic addition.
  static void add(std::atomic<std::uint64_t>& sum, std::uint64_t value,
                  std::memory_order order = std::memory_order_relaxed) {
    sum.store(sum.load(std::memory_order_relaxed) + value, order);
  }
  bool still_there(Server& server, std::int64_t now_ns);
  Task<Status> ask(Server& server, std::optional<local::Request> request, Fd* attached);
  Task<Result<local::Reply>> exchange(Server& server, local::Request request, Fd* attached);
  Task<Status> connect(Server& server);
  Task<Status> map_arena(Server& server);
  void give_up(Server& server);

  Loop& loop_;
  std::int64_t timeout_ns_;
  std::int64_t silence_max_ns_;
  bool possible_ = false;
  unsigned ordinal_ = 0;
  std::size_t descriptors_ = 0;
  std::vector<std::unique_ptr<Server>> servers_;  ///< null: on another host
};

}  // namespace benchfs
