// The session: connecting, disconnecting, its lock, and its progress thread.
//
// The progress thread (setting progress_thread) turns the loop while requests are in flight and no
// call drives it. It never spins, and does not hold the lock while it sleeps, so that a call that
// only looks (benchfs_test) finds the session free; such a call wakes it if it took events that
// the sleep was for.
#include "client/client.hpp"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <system_error>

#include "base/log.hpp"
#include "base/text.hpp"
#include "net/auth.hpp"
#include "net/bootstrap_client.hpp"
#include "net/cluster_lookup.hpp"

namespace benchfs {
namespace {

constexpr std::size_t kBatchesTotalMax = 64 << 20;
constexpr int kProgressSleepMaxMs = 16;
constexpr std::uint64_t kWaitingCalls = 8;

/// The settings of BENCHFS_CONFIG and BENCHFS_*, with `cluster` of benchfs_connect on top.
std::expected<ClientConfig, std::string> settings(const char* cluster) {
  auto loaded = load_client_config({.environment = config::process_environment()});
  if (!loaded) return std::unexpected(loaded.error());
  ClientConfig config = std::move(loaded->config);
  if (cluster != nullptr && *cluster != '\0') {
    const std::string_view text(cluster);
    config.servers.clear();
    config.registry.clear();
    if (text.find('/') != text.npos || text.find(':') == text.npos) {
      config.registry = text;
    } else {
      for (std::size_t at = 0; at <= text.size();) {
        const std::size_t end = std::min(text.find(',', at), text.size());
        if (end > at) config.servers.emplace_back(text.substr(at, end - at));
        at = end + 1;
      }
    }
  }
  return config;
}

/// "lo" when every server is on this host's loopback: then nothing of the client listens outside
/// either.
std::string net_device(const ClusterInfo& cluster) {
  for (const auto& server : cluster.servers) {
    if (!server.bootstrap_host.starts_with("127.") && server.bootstrap_host != "::1") return {};
  }
  return "lo";
}

}  // namespace

std::expected<std::unique_ptr<Client>, Client::ConnectError> Client::connect(const char* cluster) {
  const auto refuse = [](int error, std::string text) {
    return std::unexpected(ConnectError{error, std::move(text)});
  };
  auto config = settings(cluster);
  if (!config) return refuse(EINVAL, config.error());
  if (auto logging = init_log(config->log_level, config->log_file, "benchfs"); !logging) {
    return refuse(EINVAL, logging.error());
  }
  auto client = std::unique_ptr<Client>(new Client);
  client->config_ = *config;
  auto loop = Loop::create({.spin_us = static_cast<std::uint32_t>(config->spin_us)});
  if (!loop) return refuse(to_errno(loop.error().code), "cannot make an event loop");
  client->loop_ = std::move(*loop);
  const Loop::Scope scope(*client->loop_);

  auto found = client->loop_->run(find_cluster(*client->loop_, *config));
  if (!found) return refuse(to_errno(found.error().code), found.error().text);
  client->cluster_ = std::make_unique<ClusterInfo>(std::move(found->info));
  const auto secret = std::as_bytes(std::span{found->secret});
  client->secret_ = std::make_unique<Secret>(std::vector<std::byte>(secret.begin(), secret.end()));
  client->cluster_id_text_ = to_hex(client->cluster_->cluster_id);

  auto fabric = Fabric::create(*client->loop_, {.net_device = net_device(*client->cluster_),
                                                .eager_max_bytes = config->eager_max_bytes});
  if (!fabric) return refuse(to_errno(fabric.error().code), "cannot start UCX (see the log)");
  client->fabric_ = std::move(*fabric);

  Caller::Options options;
  options.cluster_id = client->cluster_->cluster_id;
  options.secret = client->secret_->bytes();
  options.deadline_ms = static_cast<std::uint32_t>(config->deadline_ms);
  options.failure_detect_ms = static_cast<std::uint32_t>(config->failure_detect_ms);
  options.credits = static_cast<std::uint32_t>(config->credits);
  options.checksum = config->checksum == ChecksumMode::wire;
  Loop& running = *client->loop_;
  client->caller_ =
      std::make_unique<Caller>(*client->fabric_, options, client->cluster_->servers,
                               [&running](ServerRecord server, std::uint32_t timeout_ms) {
                                 return probe(running, server.bootstrap_host, server.bootstrap_port,
                                              server.instance, timeout_ms);
                               });
  client->caller_->set_epoch(client->cluster_->epoch);
  if (auto opened = client->caller_->open(); !opened) {
    return refuse(to_errno(opened.error().code), "UCX refuses active messages");
  }
  client->holds_ = std::make_unique<Holds>(*client->caller_);
  client->sessions_.resize(client->caller_->servers());
  client->caller_->on_session(
      [self = client.get()](ServerIndex server) { self->session_opened(server); });
  client->local_ =
      std::make_unique<LocalAccess>(running, client->cluster_->servers, config->local_access,
                                    static_cast<std::int64_t>(config->failure_detect_ms));
  const auto ttl_ns = [](std::uint64_t ms) { return static_cast<std::int64_t>(ms) * 1'000'000; };
  client->cache_ = std::make_unique<EntryCache>(
      EntryCache::Options{.ttl_ns = ttl_ns(config->cache_ttl_ms),
                          .attributes_ttl_ns = ttl_ns(config->cache_attributes_ttl_ms),
                          .entries_max = config->cache_entries});
  // A transfer may have a batch open for every server: bounded together.
  const std::size_t share =
      std::max<std::size_t>(64 << 10, kBatchesTotalMax / client->caller_->servers());
  client->batch_bytes_max_ =
      static_cast<std::uint32_t>(std::min<std::size_t>(config->rpc_bytes_max, share));
  client->staging_.set_size(config->list_max * sizeof(wire::Piece) + client->batch_bytes_max_);
  if (config->progress_thread) {
    try {
      client->start_progress();
    } catch (const std::system_error& error) {
      return refuse(error.code().value(), "cannot start the progress thread");
    }
  }
  return client;
}

Client::~Client() {
  if (caller_ == nullptr) return;
  stop_progress();
  if (cache_ != nullptr) {
    const EntryCache::Counts& counts = cache_->counts();
    log_info("cache: {} of {} names and {} of {} attributes were known", counts.entry_hits,
             counts.entry_hits + counts.entry_misses, counts.attribute_hits,
             counts.attribute_hits + counts.attribute_misses);
  }
  const Loop::Scope scope(*loop_);
  if (holds_ != nullptr) loop_->run(holds_->close());
  loop_->run(caller_->close());
}

void Client::contend() {
  contenders_.fetch_add(1);
  loop_->wake();  // whoever holds it may be asleep
  mutex_.lock();
  contenders_.fetch_sub(1);
}

void Client::give_way() {
  if (contenders_.load(std::memory_order_relaxed) == 0) return;
  mutex_.unlock();
  while (contenders_.load() > 0) sched_yield();
  acquire();
}

void Client::wake_finished() {
  std::erase_if(waiters_, [](Waiter* waiter) {
    if (!waiter->done()) return false;
    waiter->wake.release();
    return true;
  });
}

void Client::drive(const std::function<bool()>& done) {
  while (!done()) {
    if (driving_) {
      Waiter self{done};
      waiters_.push_back(&self);
      mutex_.unlock();
      self.wake.acquire();
      acquire();
      continue;
    }
    driving_ = true;
    loop_->run_until([&] {
      if (!waiters_.empty()) wake_finished();
      give_way();
      return done();
    });
    driving_ = false;
    wake_progress();
    if (!waiters_.empty()) {  // somebody else has to turn the loop now
      waiters_.front()->wake.release();
      waiters_.erase(waiters_.begin());
    }
  }
}

bool Client::turn() {
  const bool worked = loop_->turn();
  ++turns_called_;
  if (worked) wake_progress();
  return worked;
}

void Client::start_progress() {
  // Signals are the program's.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    progress_ = std::thread([this] { progress(); });
  } catch (...) {
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    throw;
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  progress_pid_ = getpid();
}

void Client::stop_progress() {
  if (!progress_.joinable()) return;
  if (progress_pid_ != getpid()) {  // a child of fork() has the session, but not the thread
    progress_.detach();
    return;
  }
  {
    const Lock lock(*this);
    progress_stopping_ = true;
    progress_wanted_.notify_one();
    loop_->wake();
  }
  progress_.join();
}

// The caller holds the lock.
void Client::wake_progress() {
  if (!progress_.joinable() || requests_ == 0) return;
  if (progress_asleep_)
    loop_->wake();
  else
    progress_wanted_.notify_one();
}

void Client::progress() {
  const Loop::Scope scope(*loop_);
  int idle_ms = 1;
  std::uint64_t turns_seen = 0;
  std::unique_lock lock(mutex_);
  while (!progress_stopping_) {
    progress_turning_.store(false, std::memory_order_relaxed);
    if (requests_ == 0 || driving_) {
      progress_wanted_.wait(lock);
      idle_ms = 1;
      continue;
    }
    if (turns_called_ - turns_seen >= kWaitingCalls) {
      // Somebody does little else than call benchfs_test(): that will do, and two would hinder each
      // other.
      lock.unlock();
      poll(nullptr, 0, 1);
      lock.lock();
      turns_seen = turns_called_;
      continue;
    }
    turns_seen = turns_called_;
    progress_turning_.store(true, std::memory_order_relaxed);
    if (loop_->turn()) {
      idle_ms = 1;
      if (!waiters_.empty()) wake_finished();
      if (contenders_.load() > 0) {
        lock.unlock();
        while (contenders_.load() > 0) sched_yield();
        lock.lock();
      }
      continue;
    }
    pollfd event{loop_->descriptor(), POLLIN, 0};
    const int timeout_ms = std::min(loop_->arm(), idle_ms);
    progress_asleep_ = true;
    progress_turning_.store(false, std::memory_order_relaxed);
    lock.unlock();
    if (timeout_ms > 0)
      poll(&event, 1, timeout_ms);
    else
      sched_yield();
    lock.lock();
    progress_asleep_ = false;
    loop_->take_up();
    // A request that is done, but not yet asked for, is no reason to look often.
    idle_ms = std::min(idle_ms * 2, kProgressSleepMaxMs);
  }
}

}  // namespace benchfs
