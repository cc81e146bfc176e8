// One server's life: open storage and network, form the cluster, serve, drain, sync, leave.
//
// Messages are taken in before the server's address is given to anybody, since UCX drops what
// nobody receives; callers that come before the cluster has formed wait (Dispatcher::activate).
#include "server.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "base/log.hpp"
#include "base/text.hpp"
#include "net/bootstrap_client.hpp"

namespace benchfs {
namespace {

std::unexpected<std::string> refuse(std::string text) {
  return std::unexpected(std::move(text));
}

std::vector<std::uint32_t> groups_of_process() {
  std::vector<gid_t> groups(64 * 1024);  // NGROUPS_MAX of Linux
  const int count = getgroups(static_cast<int>(groups.size()), groups.data());
  groups.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
  return {groups.begin(), groups.end()};
}

}  // namespace

std::expected<std::unique_ptr<Server>, std::string> Server::create(ServerConfig config) {
  auto server = std::unique_ptr<Server>(new Server(std::move(config)));
  if (auto opened = server->open(); !opened) return refuse(std::move(opened.error()));
  return server;
}

std::expected<void, std::string> Server::open() {
  auto data = DataDirectory::open(config_.data_dir, config_.server_id);
  if (!data) return refuse(std::move(data.error()));
  data_ = std::make_unique<DataDirectory>(std::move(*data));
  auto loop = Loop::create({.spin_us = static_cast<std::uint32_t>(config_.spin_us)});
  if (!loop) return refuse("cannot make an event loop: " + std::string(to_text(loop.error().code)));
  loop_ = std::move(*loop);
  const Loop::Scope scope(*loop_);
  if (auto opened = open_storage(); !opened) return opened;
  return open_network();
}

std::expected<void, std::string> Server::open_storage() {
  const std::string& directory = data_->path();
  auto ring = Ring::create(*loop_, {.entries = static_cast<unsigned>(config_.ring_entries)});
  if (ring) {
    ring_ = std::move(*ring);
  } else {
    log_warn("no io_uring (errno {}): storage uses plain system calls", ring.error().native);
  }
  offload_ = std::make_unique<Offload>(*loop_);
  const auto failed = [&](const char* what, const Error& error) {
    return refuse(fmt::format("data directory {}: {}: {} (see the log)", directory, what,
                              to_text(error.code)));
  };
  auto meta = MetaStore::open({.directory = directory + "/meta"}, *loop_, *offload_);
  if (!meta) return failed("cannot open the metadata", meta.error());
  meta_ = std::move(*meta);
  auto chunks = ChunkStore::create(
      {.data_dir = directory,
       .io_mode = config_.io_mode,
       .open_files_max = config_.open_files_max,
       .limit_bytes = config_.max_storage_bytes,
       .warm_up_ms = static_cast<std::int64_t>(config_.warm_up_ms)},
      ring_.get(), *offload_);
  if (!chunks) return failed("cannot open the chunks", chunks.error());
  chunks_ = std::move(*chunks);
  auto pool =
      BufferPool::create(config_.pool_bytes, DataService::block_bytes(config_.rpc_bytes_max));
  if (!pool) return failed("cannot make the buffer pool (pool_bytes)", pool.error());
  pool_ = std::move(*pool);
  if (ring_ != nullptr) pool_->register_with(*ring_);
  return {};
}

std::expected<void, std::string> Server::open_network() {
  auto secret = job_secret(config_);
  if (!secret) return refuse(std::move(secret.error()));
  const auto bytes = std::as_bytes(std::span{*secret});
  secret_ = std::make_unique<Secret>(std::vector<std::byte>(bytes.begin(), bytes.end()));
  auto listen = resolve_listen(config_.listen);
  if (!listen) return refuse(std::move(listen.error()));
  auto fabric = Fabric::create(
      *loop_, {.net_device = listen->net_device, .eager_max_bytes = config_.eager_max_bytes});
  if (!fabric) return refuse("cannot start UCX (see the log)");
  fabric_ = std::move(*fabric);

  const std::uint64_t instance = random_id();
  Dispatcher::Options options;
  options.instance = instance;
  options.secret = secret_->bytes();
  options.max_sessions = static_cast<std::uint32_t>(config_.max_sessions);
  options.default_chunk_bytes = config_.chunk_bytes;
  options.rpc_bytes_max = static_cast<std::uint32_t>(config_.rpc_bytes_max);
  options.uid = geteuid();
  options.gid = getegid();
  dispatcher_ = std::make_unique<Dispatcher>(*fabric_, options);
  if (auto opened = dispatcher_->open(); !opened) return refuse("UCX refuses active messages");

  auto bootstrap = BootstrapServer::start(*loop_, {.address = listen->bind_host,
                                                   .port = listen->port,
                                                   .secret = *secret,
                                                   .instance = instance});
  if (!bootstrap) return refuse(std::move(bootstrap.error()));
  bootstrap_ = std::move(*bootstrap);
  bootstrap_->set_handler(bootstrap::Op::stop, [this](std::string_view) -> Explained<std::string> {
    log_info("asked to stop through the bootstrap port");
    request_stop();
    return std::string();
  });
  record_ = make_record(*data_, *listen, *bootstrap_, fabric_->address());
  auto membership = Membership::options_of(config_);
  if (!membership) return refuse(std::move(membership.error()));
  membership_ =
      std::make_unique<Membership>(*loop_, std::move(*membership), record_, *data_, *bootstrap_);
  return {};
}

Server::~Server() = default;

void Server::request_stop() noexcept {
  stop_requested_.store(true);
  loop_->wake();
}

std::expected<void, std::string> Server::run(const std::function<void()>& ready) {
  const Loop::Scope scope(*loop_);
  auto task = serve(ready);
  loop_->run_until([&] {
    if (stop_requested_.load(std::memory_order_relaxed) && !stop_.is_set()) {
      stop_.set();
      membership_->cancel();  // if it is still forming or announcing the cluster
    }
    return task.done();
  });
  auto outcome = task.take();
  if (!outcome && stop_requested_.load()) {
    log_info("stopped before the cluster was ready: {}", outcome.error());
    return {};
  }
  return outcome;
}

void Server::start_services() {
  index_ = static_cast<ServerIndex>(cluster_->find_instance(record_.instance) -
                                    cluster_->servers.data());
  Caller::Options options;
  options.cluster_id = cluster_->cluster_id;
  options.secret = secret_->bytes();
  options.deadline_ms = static_cast<std::uint32_t>(config_.deadline_ms);
  options.failure_detect_ms = static_cast<std::uint32_t>(config_.failure_detect_ms);
  Loop& loop = *loop_;
  caller_ = std::make_unique<Caller>(
      *fabric_, options, cluster_->servers, [&loop](ServerRecord server, std::uint32_t timeout_ms) {
        return probe(loop, server.bootstrap_host, server.bootstrap_port, server.instance,
                     timeout_ms);
      });
  caller_->set_epoch(cluster_->epoch);
  peer_drops_ = std::make_unique<PeerDrops>(*caller_);
  const SlotMap& map = cluster_->map;
  const auto neighbours =
      std::count_if(cluster_->servers.begin(), cluster_->servers.end(),
                    [this](const auto& server) { return server.host_id == record_.host_id; });
  space_ = std::make_unique<Space>(loop, *chunks_,
                                   Space::Options{.limit_bytes = config_.max_storage_bytes,
                                                  .sharers = static_cast<unsigned>(neighbours)});
  drops_ = std::make_unique<DropQueue>(loop, *meta_, *chunks_, map, *peer_drops_,
                                       DropQueue::Options{.self = index_});
  peer_removals_ = std::make_unique<PeerRemovals>(*caller_);
  removals_ = std::make_unique<Removals>(loop, *meta_, map, *peer_removals_,
                                         Removals::Options{.self = index_});
  peer_moves_ = std::make_unique<PeerMoves>(*caller_);
  tokens_ = std::make_unique<Tokens>(*meta_);
  move_gate_ = std::make_unique<MoveGate>(*meta_);
  links_ = std::make_unique<Links>(loop, *meta_, *drops_, *tokens_, map, *peer_moves_,
                                   Links::Options{.self = index_});
  moves_ = std::make_unique<Moves>(
      loop, *meta_, *removals_, *links_, *tokens_, *move_gate_, map, *peer_moves_,
      Moves::Options{.self = index_, .room = [this] { return space_->room_for_entries(); }});
  peer_quotas_ = std::make_unique<PeerQuotas>(*caller_, map, index_);
  quota_shares_ = std::make_unique<QuotaShares>(loop, *meta_, *chunks_, *space_, *offload_,
                                                *peer_quotas_, index_);
  quota_authority_ = std::make_unique<QuotaAuthority>(*meta_, map, *peer_quotas_,
                                                      QuotaAuthority::Options{.self = index_});
  peer_quotas_->set_local(quota_authority_.get(), quota_shares_.get());
  names_ = std::make_unique<Namespace>(
      *meta_, *drops_, *removals_, *links_, *moves_, map,
      Namespace::Options{.self = index_,
                         .default_chunk_bytes = config_.chunk_bytes,
                         .room = [this] { return space_->room_for_entries(); },
                         .quotas = quota_shares_.get(),
                         .groups = groups_of_process()});
  sizes_ = std::make_unique<NamespaceSizes>(*names_);
  data_service_ = std::make_unique<DataService>(
      loop, *chunks_, *pool_, map, [this] { return meta_->sync(); }, dispatcher_->counters(),
      DataService::Options{.self = index_,
                           .rpc_bytes_max = config_.rpc_bytes_max,
                           .space = space_.get(),
                           .quotas = quota_shares_.get(),
                           .sizes = sizes_.get()});
  hole_service_ =
      std::make_unique<HoleService>(loop, *chunks_, *space_, quota_shares_.get(), map, index_);
  namespace_service_ = std::make_unique<NamespaceService>(*names_, *removals_);
  moves_service_ = std::make_unique<MovesService>(*moves_, *links_, *tokens_, *move_gate_, *meta_);
  xattr_service_ = std::make_unique<XattrService>(Xattrs(*meta_, map, index_));
  search_ = std::make_unique<Search>(loop, *meta_, *moves_, map, index_);
  start_local_service();
  admin_service_ =
      std::make_unique<AdminService>(*dispatcher_, *meta_, *chunks_, *space_, local_service_.get());
  lock_service_ = std::make_unique<LockService>(loop, map, index_);
  quota_service_ = std::make_unique<QuotaService>(*quota_authority_, *quota_shares_);
  check_service_ = std::make_unique<CheckService>(*meta_, *chunks_, *moves_, *removals_, *offload_,
                                                  map, CheckService::Options{.self = index_});
  data_service_->add_to(*dispatcher_);
  hole_service_->add_to(*dispatcher_);
  namespace_service_->add_to(*dispatcher_);
  moves_service_->add_to(*dispatcher_);
  xattr_service_->add_to(*dispatcher_);
  search_->add_to(*dispatcher_);
  admin_service_->add_to(*dispatcher_);
  lock_service_->add_to(*dispatcher_);
  quota_service_->add_to(*dispatcher_);
  check_service_->add_to(*dispatcher_);
}

void Server::start_local_service() {
  // With O_DIRECT the store keeps direct and buffered access apart; it cannot keep apart what it
  // does not see.
  if (!config_.local_access || chunks_->mode() == IoMode::direct) return;
  auto service = LocalService::start(*loop_, *chunks_,
                                     {.instance = record_.instance,
                                      .shares_max = config_.open_files_max,
                                      .clients_max = 4096,
                                      .space = space_.get(),
                                      .map = &cluster_->map,
                                      .self = index_});
  if (service) {
    local_service_ = std::move(*service);
  } else {
    log_warn("no local access for clients on this host: {}", to_text(service.error().code));
  }
}

Task<std::expected<void, std::string>> Server::serve(const std::function<void()>& ready) {
  auto formed = co_await membership_->form();
  std::expected<void, std::string> outcome;
  if (formed) {
    cluster_ = std::make_unique<ClusterInfo>(std::move(*formed));
    start_services();
    Status begun = caller_->open();
    if (begun) begun = quota_authority_->start();
    if (begun) begun = co_await names_->start({geteuid(), getegid()});
    if (begun) {
      dispatcher_->activate(cluster_->cluster_id, cluster_->epoch);
      outcome = co_await membership_->announce();
    } else {
      outcome = refuse("cannot start the namespace: " + std::string(to_text(begun.error().code)));
    }
  } else {
    outcome = refuse(std::move(formed.error()));
  }
  if (outcome) {
    ready();
    co_await stop_.wait();
    log_info("draining");
  }
  co_await drain();
  co_return outcome;
}

Task<Status> Server::sync_all() {
  const Status logged = co_await meta_->sync();
  int error = 0;
  const std::string directory = data_->path();
  co_await offload_->run([&error, &directory] {
    const Fd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd || syncfs(fd.get()) != 0) error = errno;
  });
  if (error != 0) co_return fail(errc_from_errno(error), error);
  co_return logged;
}

Task<void> Server::drain() {
  bootstrap_->set_state(bootstrap::State::draining);
  membership_->leave();
  co_await dispatcher_->close();
  if (local_service_ != nullptr) co_await local_service_->close();
  if (moves_ != nullptr) co_await moves_->close();
  if (links_ != nullptr) co_await links_->close();
  if (drops_ != nullptr) co_await drops_->close();
  if (removals_ != nullptr) co_await removals_->close();
  if (caller_ != nullptr) co_await caller_->close();
  const Status synced = co_await sync_all();
  if (!synced) log_error("cannot sync {}: {}", data_->path(), to_text(synced.error().code));
  co_await chunks_->close();
  const Status closed = co_await meta_->close();
  if (!closed) log_error("cannot close the metadata of {}", data_->path());
  co_await bootstrap_->close();
}

}  // namespace benchfs
