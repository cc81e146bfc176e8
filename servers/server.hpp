// One server: the objects of its process, wired together, and its life: open storage, form the
// cluster, serve, drain. benchfsd runs one; the fabric tests run several in one process, each on
// its own thread.
#pragma once
#include <atomic>
#include <expected>
#include <functional>
#include <memory>
#include <string>

#include "admin_service.hpp"
#include "base/secret.hpp"
#include "base/server_config.hpp"
#include "check_service.hpp"
#include "cluster/membership.hpp"
#include "home_sizes.hpp"
#include "locks/lock_service.hpp"
#include "loop/offload.hpp"
#include "loop/ring.hpp"
#include "metadata/drop_queue.hpp"
#include "metadata/meta_store.hpp"
#include "metadata/moves_service.hpp"
#include "metadata/namespace.hpp"
#include "metadata/namespace_service.hpp"
#include "metadata/search.hpp"
#include "metadata/xattrs.hpp"
#include "net/bootstrap_server.hpp"
#include "net/caller.hpp"
#include "net/fabric.hpp"
#include "net/service.hpp"
#include "peer_drops.hpp"
#include "peer_moves.hpp"
#include "peer_removals.hpp"
#include "storage/buffer_pool.hpp"
#include "storage/chunk_store.hpp"
#include "storage/data_service.hpp"
#include "storage/hole_service.hpp"
#include "storage/local_service.hpp"

namespace benchfs {

class Server {
 public:
  /// Opens storage and network. The error is a text for the user.
  static std::expected<std::unique_ptr<Server>, std::string> create(ServerConfig config);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Forms the cluster, calls `ready` once clients can find it, and serves until request_stop();
  /// then drains, syncs and leaves the cluster. The error is a text for the user. On the thread of
  /// create().
  std::expected<void, std::string> run(const std::function<void()>& ready);
  /// May be called by a signal handler or another thread. Then run() ends without an error, also
  /// while the cluster is still forming.
  void request_stop() noexcept;

  const ClusterInfo& cluster() const { return *cluster_; }
  const ServerRecord& record() const { return record_; }
  ServerIndex index() const { return index_; }

 private:
  explicit Server(ServerConfig config) : config_(std::move(config)) {}
  std::expected<void, std::string> open();
  std::expected<void, std::string> open_storage();
  std::expected<void, std::string> open_network();
  void start_services();
  void start_local_service();
  Task<std::expected<void, std::string>> serve(const std::function<void()>& ready);
  Task<Status> sync_all();
  Task<void> drain();

  ServerConfig config_;
  std::atomic<bool> stop_requested_{false};
  Event stop_;
  // In the order of their making; each uses those before it.
  std::unique_ptr<DataDirectory> data_;
  std::unique_ptr<Secret> secret_;
  std::unique_ptr<Loop> loop_;
  std::unique_ptr<Ring> ring_;
  std::unique_ptr<Offload> offload_;
  std::unique_ptr<MetaStore> meta_;
  std::unique_ptr<ChunkStore> chunks_;
  std::unique_ptr<BufferPool> pool_;
  std::unique_ptr<Fabric> fabric_;
  std::unique_ptr<Dispatcher> dispatcher_;
  std::unique_ptr<BootstrapServer> bootstrap_;
  ServerRecord record_;
  std::unique_ptr<Membership> membership_;
  std::unique_ptr<ClusterInfo> cluster_;
  ServerIndex index_ = 0;
  std::unique_ptr<Caller> caller_;
  std::unique_ptr<PeerDrops> peer_drops_;
  std::unique_ptr<DropQueue> drops_;
  std::unique_ptr<PeerRemovals> peer_removals_;
  std::unique_ptr<Removals> removals_;
  std::unique_ptr<PeerMoves> peer_moves_;
  std::unique_ptr<Tokens> tokens_;
  std::unique_ptr<MoveGate> move_gate_;
  std::unique_ptr<Links> links_;
  std::unique_ptr<Moves> moves_;
  std::unique_ptr<Namespace> names_;
  std::unique_ptr<Space> space_;
  std::unique_ptr<NamespaceSizes> sizes_;
  std::unique_ptr<DataService> data_service_;
  std::unique_ptr<HoleService> hole_service_;
  std::unique_ptr<NamespaceService> namespace_service_;
  std::unique_ptr<MovesService> moves_service_;
  std::unique_ptr<XattrService> xattr_service_;
  std::unique_ptr<Search> search_;
  std::unique_ptr<LocalService> local_service_;  ///< null: not offered
  std::unique_ptr<AdminService> admin_service_;
  std::unique_ptr<LockService> lock_service_;
  std::unique_ptr<CheckService> check_service_;
};

}  // namespace benchfs
