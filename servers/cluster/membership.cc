// Forming a cluster, in both ways of meeting alike: whoever is not the coordinator asks it to join,
// again and again, until the answer is the cluster or the reason why there will be none. The
// coordinator counts who asks, decides when all are there, and once all say that they serve,
// publishes.
#include "cluster/membership.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "base/clock.hpp"
#include "base/log.hpp"
#include "base/secret.hpp"
#include "base/text.hpp"
#include "cluster/build_cluster.hpp"
#include "cluster/files.hpp"
#include "cluster/registry.hpp"
#include "cluster/static_list.hpp"
#include "net/bootstrap_client.hpp"
#include "net/host.hpp"
#include "net/liveness.hpp"
#include "net/registry_dir.hpp"

namespace benchfs {
namespace {

constexpr std::int64_t kPauseFirstMs = 50;
constexpr std::int64_t kPauseMaxMs = 500;
constexpr std::int64_t kTellMs = 2'000;  ///< how long a coordinator that gives up stays to say why

std::string as_text(const Secret& secret) {
  const auto bytes = secret.bytes();
  return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

/// Pauses that grow from one attempt to the next, and end with the deadline.
class Patience {
 public:
  Patience(Loop& loop, std::int64_t timeout_ms)
      : loop_(loop), deadline_ns_(now_ns() + timeout_ms * 1'000'000) {}
  bool over() const { return now_ns() >= deadline_ns_; }
  Loop::TimerWait pause() {
    const std::int64_t pause_ns = pause_ms_ * 1'000'000;
    pause_ms_ = std::min(kPauseMaxMs, pause_ms_ * 3 / 2);
    return loop_.sleep_ns(std::clamp<std::int64_t>(deadline_ns_ - now_ns(), 0, pause_ns));
  }

 private:
  Loop& loop_;
  std::int64_t deadline_ns_;
  std::int64_t pause_ms_ = kPauseFirstMs;
};

}  // namespace

std::expected<std::string, std::string> registry_of(const ServerConfig& config) {
  if (!config.registry.empty() || !config.servers.empty()) return config.registry;
  return default_registry();
}

std::expected<std::string, std::string> job_secret(const ServerConfig& config) {
  if (!config.secret_file.empty()) {
    auto secret = read_secret(config.secret_file);
    if (!secret) return std::unexpected(secret.error().text);
    return as_text(*secret);
  }
  BFS_TRY(registry, registry_of(config));
  if (registry.empty())
    return std::unexpected(
        "secret_file must be set when servers are listed without a registry; make one with: umask "
        "077;"
        " head -c 32 /dev/urandom > FILE");
  auto made = make_directories(registry);
  if (!made) return std::unexpected("registry " + made.error());
  auto trusted = check_private_directory(registry);
  if (!trusted) return std::unexpected("registry " + trusted.error());
  auto secret = read_or_create_secret(fmt::format("{}/{}", registry, registry_names::kSecret));
  if (!secret) return std::unexpected(secret.error().text);
  return as_text(*secret);
}

ServerRecord make_record(const DataDirectory& data, const ListenAddress& listen,
                         const BootstrapServer& bootstrap, std::span<const std::byte> ucx_address) {
  ServerRecord record;
  record.id = data.server_id();
  record.host = this_host_name();
  record.host_id = host_id();
  record.pid = getpid();
  record.bootstrap_host = listen.host;
  record.bootstrap_port = bootstrap.port();
  record.instance = bootstrap.instance();
  record.ucx_address.assign(ucx_address.begin(), ucx_address.end());
  record.data_dir = escape_line(data.path());
  record.store_id = data.store_id();
  if (data.stored()) {
    record.stored_cluster_id = data.stored()->cluster_id;
    record.stored_epoch = data.stored()->epoch;
  }
  record.started_ns = wall_ns();
  return record;
}

std::expected<Membership::Options, std::string> Membership::options_of(const ServerConfig& config) {
  BFS_TRY(registry, registry_of(config));
  Options options;
  options.registry = std::move(registry);
  options.servers = config.servers;
  options.expected = static_cast<std::uint32_t>(config.expected_servers);
  options.timeout_ms = static_cast<std::int64_t>(config.bootstrap_timeout_ms);
  options.probe_ms = static_cast<std::int64_t>(config.failure_detect_ms);
  return options;
}

Membership::Membership(Loop& loop, Options options, ServerRecord self, DataDirectory& data,
                       BootstrapServer& bootstrap)
    : loop_(loop),
      options_(std::move(options)),
      self_(std::move(self)),
      data_(data),
      bootstrap_(bootstrap),
      gathering_(self_, options_.servers.empty()
                            ? options_.expected
                            : static_cast<std::uint32_t>(options_.servers.size())) {
  if (options_.servers.empty()) {
    meeting_ = std::make_unique<Registry>(loop_, options_.registry, self_, options_.probe_ms);
  } else {
    meeting_ = std::make_unique<StaticList>(loop_, options_.servers, self_, options_.probe_ms);
  }
  bootstrap_.set_handler(bootstrap::Op::join,
                         [this](std::string_view payload) { return gathering_.join(payload); });
  bootstrap_.set_handler(bootstrap::Op::stored, [this](std::string_view) -> Explained<std::string> {
    if (!data_.stored()) return explain(Errc::not_found, "the data directory is new");
    return encode_cluster(*data_.stored());
  });
}

Membership::~Membership() {
  for (const auto op : {bootstrap::Op::join, bootstrap::Op::stored, bootstrap::Op::cluster}) {
    bootstrap_.set_handler(op, {});
  }
}

Task<std::expected<ClusterInfo, std::string>> Membership::form() {
  Patience patience(loop_, options_.timeout_ms);
  bool entered = false;
  while (true) {
    TextError error{Errc::busy, ""};
    if (!entered) {
      Explained<void> enter = co_await meeting_->enter();
      entered = enter.has_value();
      if (!enter) error = std::move(enter.error());
    }
    if (entered) {
      Formed formed = co_await try_form();
      if (formed) {
        cluster_ = std::move(*formed);
        break;
      }
      error = std::move(formed.error());
    }
    if (canceled_) error = TextError{Errc::canceled, "stopped before the cluster had formed"};
    if (error.code == Errc::busy && patience.over()) {
      error.code = Errc::timed_out;
      error.text = fmt::format("no cluster after {}: {}",
                               format_duration(options_.timeout_ms * 1'000'000ull), error.text);
    }
    if (error.code != Errc::busy) {
      gathering_.give_up(error.text);
      co_await tell_all();
      meeting_->leave();
      co_return std::unexpected(error.text);
    }
    if (error.text != last_word_) {
      log_info("forming the cluster: {}", error.text);
      last_word_ = error.text;
    }
    co_await patience.pause();
  }
  gathering_.finish(*cluster_, cluster_text_);
  bootstrap_.set_cluster_id(cluster_->cluster_id);
  bootstrap_.set_state(bootstrap::State::formed);
  const auto stored = data_.store(*cluster_);
  if (!stored) {
    meeting_->leave();
    co_return std::unexpected(stored.error());
  }
  log_info("cluster {} formed: {} servers, epoch {}", to_hex(cluster_->cluster_id),
           cluster_->servers.size(), cluster_->epoch);
  co_return *cluster_;
}

/// One attempt. Errc::busy: not yet, the text says what is missing.
Task<Membership::Formed> Membership::try_form() {
  Explained<std::optional<Meeting::Where>> where = co_await meeting_->coordinator();
  if (!where) co_return std::unexpected(where.error());
  coordinator_ = *where;
  if (coordinator_) {
    Formed joined = co_await join(*coordinator_);
    co_return std::move(joined);
  }
  Formed formed = co_await coordinate();
  co_return std::move(formed);
}

Task<Membership::Formed> Membership::coordinate() {
  if (!place_free_) {  // said at once, not when the last server has come
    const Explained<void> free = co_await meeting_->check_free();
    if (!free) co_return std::unexpected(free.error());
    place_free_ = true;
  }
  const std::vector<ServerRecord> servers = gathering_.present();
  if (servers.size() < gathering_.expected()) co_return explain(Errc::busy, gathering_.roll_call());
  if (servers.size() > gathering_.expected())
    co_return explain(Errc::invalid, "too many servers: " + gathering_.roll_call());
  const Explained<void> reachable = co_await check_reachable(servers);
  if (!reachable) co_return std::unexpected(reachable.error());
  Explained<ClusterInfo> decided = co_await decide(servers);
  if (!decided) co_return std::unexpected(decided.error());
  cluster_text_ = encode_cluster(*decided);
  co_return std::move(decided);
}

/// Servers that can reach this one, but not be reached, would fail their clients later.
Task<Explained<void>> Membership::check_reachable(std::vector<ServerRecord> servers) {
  const std::vector<Sighting> sightings = co_await look_for_all(loop_, servers, options_.probe_ms);
  for (std::size_t i = 0; i < servers.size(); ++i) {
    if (sightings[i].liveness == Liveness::alive) continue;
    const ServerRecord& server = servers[i];
    const bool elsewhere = server.host_id != self_.host_id;
    co_return explain(
        Errc::busy,
        fmt::format(
            "{} cannot be reached at {}{}", describe(server),
            format_host_port({server.bootstrap_host, server.bootstrap_port}),
            elsewhere ? ": set its `listen` to an address that other hosts can reach" : ""));
  }
  co_return Explained<void>{};
}

Task<Explained<ClusterInfo>> Membership::decide(std::vector<ServerRecord> servers) {
  std::optional<ClusterInfo> stored;
  const auto newest = newest_stored(servers);
  if (newest && servers[*newest].instance == self_.instance) {
    stored = data_.stored();
  } else if (newest) {
    const ServerRecord& holder = servers[*newest];
    std::string nothing;
    Explained<std::string> text = co_await bootstrap_call(
        loop_, holder.bootstrap_host, holder.bootstrap_port, bootstrap::Op::stored, nothing,
        bootstrap_.secret(), options_.probe_ms);
    if (!text) {
      co_return explain(Errc::busy, fmt::format("{} does not give its cluster file: {}",
                                                describe(holder), text.error().text));
    }
    auto decoded = decode_cluster(*text, "the cluster file of " + describe(holder));
    if (!decoded) co_return explain(Errc::bad_message, decoded.error());
    stored = std::move(*decoded);
  }
  auto cluster = build_cluster(servers, stored, random_id(), wall_ns());
  if (!cluster) co_return explain(Errc::invalid, cluster.error());
  co_return std::move(*cluster);
}

Task<Membership::Formed> Membership::join(Meeting::Where where) {
  const std::string record = encode_record(self_);
  Explained<std::string> reply =
      co_await bootstrap_call(loop_, where.host, where.port, bootstrap::Op::join, record,
                              bootstrap_.secret(), options_.probe_ms);
  if (!reply) {
    TextError error = std::move(reply.error());
    const bool later = error.code == Errc::busy || error.code == Errc::unreachable ||
                       error.code == Errc::timed_out || error.code == Errc::shutting_down;
    const bool told = error.code == Errc::busy || error.code == Errc::canceled;
    if (!told) error.text = fmt::format("cannot join {}: {}", where.name, error.text);
    if (later) error.code = Errc::busy;
    co_return std::unexpected(std::move(error));
  }
  auto cluster = decode_cluster(*reply, "the cluster file from " + where.name);
  if (!cluster) co_return explain(Errc::bad_message, cluster.error());
  if (cluster->find_instance(self_.instance) == nullptr)
    co_return explain(Errc::bad_message,
                      "the cluster file from " + where.name + " lacks this server");
  cluster_text_ = std::move(*reply);
  co_return std::move(*cluster);
}

Task<std::expected<void, std::string>> Membership::announce() {
  BFS_ASSERT(cluster_.has_value());
  bootstrap_.set_state(bootstrap::State::ready);
  Patience patience(loop_, options_.timeout_ms);
  while (true) {
    Explained<void> published;
    if (coordinator_) {
      published = co_await wait_until_published();
    } else {
      published = co_await publish_when_ready();
    }
    if (published) break;
    TextError error = std::move(published.error());
    if (canceled_) error = TextError{Errc::canceled, self_.id + " was stopped before all were ready"};
    if (error.code != Errc::busy || patience.over()) {
      const std::string why =
          fmt::format("cluster {} was given up: {}", to_hex(cluster_->cluster_id), error.text);
      if (!coordinator_) {
        bootstrap_.set_handler(bootstrap::Op::cluster,
                               [why](std::string_view) -> Explained<std::string> {
                                 return explain(Errc::canceled, why);
                               });
        co_await loop_.sleep_ns(kPauseMaxMs * 2'000'000);  // the others ask at least that often
      }
      meeting_->leave();
      co_return std::unexpected(why);
    }
    co_await patience.pause();
  }
  bootstrap_.set_handler(
      bootstrap::Op::cluster,
      [this](std::string_view) -> Explained<std::string> { return cluster_text_; });
  co_return std::expected<void, std::string>{};
}

Task<Explained<void>> Membership::publish_when_ready() {
  const std::vector<Sighting> sightings =
      co_await look_for_all(loop_, cluster_->servers, options_.probe_ms);
  for (std::size_t i = 0; i < sightings.size(); ++i) {
    const std::string who = describe(cluster_->servers[i]);
    if (sightings[i].liveness == Liveness::gone)
      co_return explain(Errc::unreachable, who + " has died before it was ready");
    if (sightings[i].liveness != Liveness::alive || sightings[i].state != bootstrap::State::ready)
      co_return explain(Errc::busy, who + " is not ready");
  }
  Explained<void> published = co_await meeting_->publish(*cluster_, cluster_text_);
  co_return published;
}

Task<Explained<void>> Membership::wait_until_published() {
  std::string nothing;
  Explained<std::string> reply =
      co_await bootstrap_call(loop_, coordinator_->host, coordinator_->port, bootstrap::Op::cluster,
                              nothing, bootstrap_.secret(), options_.probe_ms);
  if (reply) co_return Explained<void>{};
  TextError error = std::move(reply.error());
  if (error.code == Errc::timed_out) error.code = Errc::busy;
  if (error.code == Errc::unreachable)
    error.text = fmt::format("the coordinator, {}, has died: {}", coordinator_->name, error.text);
  co_return std::unexpected(std::move(error));
}

Task<void> Membership::tell_all() {
  const std::int64_t until_ns = now_ns() + kTellMs * 1'000'000;
  while (!gathering_.all_told() && now_ns() < until_ns) {
    co_await loop_.sleep_ns(kPauseFirstMs * 1'000'000);
  }
}

void Membership::leave() {
  meeting_->leave();
}

}  // namespace benchfs
