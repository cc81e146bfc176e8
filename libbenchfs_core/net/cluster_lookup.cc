// Finding a cluster. From a registry: read the cluster file, then ask one of its servers, chosen at
// random so that ten thousand ranks do not all ask the same one, whether it is alive; only if it is
// not, all of them. From a list: the first server that answers gives the file.
#include "net/cluster_lookup.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/clock.hpp"
#include "base/log.hpp"
#include "base/secret.hpp"
#include "base/text.hpp"
#include "net/bootstrap_client.hpp"
#include "net/liveness.hpp"

namespace benchfs {
namespace {

constexpr std::int64_t kPollFirstMs = 20;
constexpr std::int64_t kPollMaxMs = 500;

Explained<std::string> read_job_secret(const std::string& path) {
  auto secret = read_secret(path);
  if (!secret) return explain(secret.error().code, std::move(secret.error().text));
  const auto bytes = secret->bytes();
  return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

/// Records of the registry that can be read.
std::vector<ServerRecord> read_records(const std::string& registry) {
  std::vector<ServerRecord> records;
  const auto names = list_records(registry);
  if (!names) return records;
  for (const std::string& name : *names) {
    const std::string path = fmt::format("{}/{}", registry, name);
    const auto text = read_bounded_file(path, kRecordTextMax);
    if (!text) continue;
    auto record = decode_record(*text, path);
    if (record) records.push_back(std::move(*record));
  }
  return records;
}

struct Census {
  std::size_t alive = 0;
  std::size_t draining = 0;
};
Census take_census(const std::vector<Sighting>& sightings) {
  Census census;
  for (const Sighting& sighting : sightings) {
    census.alive += sighting.liveness == Liveness::alive;
    census.draining += sighting.liveness == Liveness::draining;
  }
  return census;
}

/// Makes sure that somebody of the cluster is alive.
Task<Explained<void>> check_alive(Loop& loop, const ClusterInfo* cluster, std::string registry,
                                  std::int64_t probe_ms) {
  const ServerRecord& chosen = cluster->servers[random_id() % cluster->servers.size()];
  const Sighting first = co_await look_for(loop, chosen, probe_ms);
  if (first.liveness == Liveness::alive) co_return Explained<void>{};
  const std::vector<Sighting> all = co_await look_for_all(loop, cluster->servers, probe_ms);
  const Census census = take_census(all);
  const std::size_t servers = cluster->servers.size();
  if (census.alive == servers) co_return Explained<void>{};
  if (census.alive > 0) {
    log_warn("{} of {} servers of cluster {} do not answer, {} among them", servers - census.alive,
             servers, to_hex(cluster->cluster_id), describe(chosen));
    co_return Explained<void>{};
  }
  const std::string which =
      fmt::format("BenchFS cluster {} in registry {}, started {},", to_hex(cluster->cluster_id),
                  registry, format_wall_time(cluster->created_ns));
  if (census.draining > 0) co_return explain(Errc::shutting_down, which + " is shutting down");
  co_return explain(
      Errc::stale,
      fmt::format(
          "{} is not running any more: none of its {} servers answers. Start one with `benchfs"
          " start`, which replaces it, or clear it with `rm {}/{}`",
          which, servers, registry, registry_names::kCluster));
}

/// Whether `secret` is the cluster's. A session cannot tell: a server does not answer a hello without
/// proof. Needed only where the secret is not the registry's own.
Task<Explained<void>> check_secret(Loop& loop, const ClusterInfo* cluster, std::string secret,
                                   std::int64_t probe_ms) {
  const ServerRecord& server = cluster->servers[random_id() % cluster->servers.size()];
  std::string nothing;
  const Explained<std::string> answer =
      co_await bootstrap_call(loop, server.bootstrap_host, server.bootstrap_port,
                              bootstrap::Op::cluster, nothing, secret, probe_ms);
  // A server that does not answer at all is for the session to find out.
  if (answer || answer.error().code != Errc::access) co_return Explained<void>{};
  co_return std::unexpected(answer.error());
}

Task<Explained<FoundCluster>> find_in_registry(Loop& loop, LookupPlan plan) {
  const std::int64_t deadline_ns = now_ns() + plan.deadline_ms * 1'000'000;
  const auto trusted = check_private_directory(plan.registry);
  if (!trusted) co_return explain(Errc::access, "registry " + trusted.error());
  std::int64_t pause_ms = kPollFirstMs;
  while (true) {
    auto cluster = read_registry_cluster(plan.registry, registry_names::kCluster);
    if (cluster) {
      const Explained<void> alive =
          co_await check_alive(loop, &*cluster, plan.registry, plan.probe_ms);
      if (alive) {
        auto secret = read_job_secret(plan.secret_file);
        if (!secret) co_return std::unexpected(secret.error());
        const std::string own = fmt::format("{}/{}", plan.registry, registry_names::kSecret);
        if (plan.secret_file != own) {
          const Explained<void> proven =
              co_await check_secret(loop, &*cluster, *secret, plan.probe_ms);
          if (!proven) co_return std::unexpected(proven.error());
        }
        FoundCluster found{std::move(*cluster), std::move(*secret), "registry " + plan.registry};
        co_return std::move(found);
      }
      // A new one may be forming in its place.
      if (now_ns() >= deadline_ns) co_return std::unexpected(alive.error());
      const std::vector<Sighting> records =
          co_await look_for_all(loop, read_records(plan.registry), plan.probe_ms);
      if (take_census(records).alive == 0) co_return std::unexpected(alive.error());
    } else if (cluster.error().code != Errc::not_found) {
      co_return std::unexpected(cluster.error());
    } else {
      const std::vector<Sighting> records =
          co_await look_for_all(loop, read_records(plan.registry), plan.probe_ms);
      const std::size_t alive = take_census(records).alive;
      if (alive == 0) {
        co_return explain(
            Errc::not_found,
            fmt::format("no BenchFS cluster in registry {}: start one with `benchfs start`",
                        plan.registry));
      }
      if (now_ns() >= deadline_ns) {
        co_return explain(
            Errc::timed_out,
            fmt::format("the BenchFS cluster in registry {} is still forming after {}: {}"
                        " servers are there",
                        plan.registry, format_duration(plan.deadline_ms * 1'000'000ull), alive));
      }
    }
    const std::int64_t left_ns = deadline_ns - now_ns();
    co_await loop.sleep_ns(std::clamp<std::int64_t>(left_ns, 0, pause_ms * 1'000'000));
    pause_ms = std::min(kPollMaxMs, 2 * pause_ms);
  }
}

/// The cluster file from the first server of the list that has one.
Task<Explained<FoundCluster>> ask_servers(Loop& loop, const LookupPlan* plan, std::string secret,
                                          std::int64_t deadline_ns) {
  TextError best{Errc::unreachable, ""};
  std::string causes;
  const std::size_t count = plan->servers.size();
  const std::size_t first = random_id() % count;
  for (std::size_t i = 0; i < count; ++i) {
    const std::string& entry = plan->servers[(first + i) % count];
    const auto where = parse_host_port(entry);
    if (!where || where->port == 0) co_return explain(Errc::invalid, "not a host:port: " + entry);
    const std::int64_t left_ms = (deadline_ns - now_ns()) / 1'000'000;
    const std::int64_t timeout_ms = std::clamp<std::int64_t>(left_ms, 1, plan->probe_ms);
    std::string nothing;
    Explained<std::string> text = co_await bootstrap_call(
        loop, where->host, where->port, bootstrap::Op::cluster, nothing, secret, timeout_ms);
    if (text) {
      auto cluster = decode_cluster(*text, "the cluster file from " + entry);
      if (!cluster) co_return explain(Errc::bad_message, cluster.error());
      FoundCluster found{std::move(*cluster), secret, "server " + entry};
      co_return std::move(found);
    }
    // What a server said weighs more than that another one said nothing.
    const Errc code = text.error().code;
    if (code != Errc::unreachable && code != Errc::timed_out) best.code = code;
    if (!causes.empty()) causes += "; ";
    causes += text.error().text;
  }
  best.text = "no BenchFS server of the list gave its cluster: " + causes;
  co_return std::unexpected(best);
}

Task<Explained<FoundCluster>> find_by_list(Loop& loop, LookupPlan plan) {
  const std::int64_t deadline_ns = now_ns() + plan.deadline_ms * 1'000'000;
  auto secret = read_job_secret(plan.secret_file);
  if (!secret) co_return std::unexpected(secret.error());
  std::int64_t pause_ms = kPollFirstMs;
  while (true) {
    Explained<FoundCluster> found = co_await ask_servers(loop, &plan, *secret, deadline_ns);
    if (found || found.error().code != Errc::busy) co_return std::move(found);
    const std::int64_t left_ns = deadline_ns - now_ns();
    if (left_ns <= 0) co_return explain(Errc::timed_out, found.error().text);
    co_await loop.sleep_ns(std::min<std::int64_t>(left_ns, pause_ms * 1'000'000));
    pause_ms = std::min(kPollMaxMs, 2 * pause_ms);
  }
}

}  // namespace

Explained<LookupPlan> plan_lookup(const ClientConfig& config) {
  LookupPlan plan;
  plan.servers = config.servers;
  plan.registry = config.registry;
  plan.secret_file = config.secret_file;
  plan.deadline_ms = static_cast<std::int64_t>(config.deadline_ms);
  plan.probe_ms = static_cast<std::int64_t>(std::min(config.failure_detect_ms, config.deadline_ms));
  if (plan.servers.empty() && plan.registry.empty()) {
    auto registry = default_registry();
    if (!registry) return explain(Errc::access, "the default registry " + registry.error());
    plan.registry = std::move(*registry);
  }
  if (plan.secret_file.empty() && !plan.registry.empty())
    plan.secret_file = fmt::format("{}/{}", plan.registry, registry_names::kSecret);
  if (plan.secret_file.empty())
    return explain(Errc::invalid,
                   "secret_file must be set when servers are named without a registry");
  return plan;
}

Task<Explained<FoundCluster>> find_cluster(Loop& loop, LookupPlan plan) {
  if (plan.servers.empty()) return find_in_registry(loop, std::move(plan));
  return find_by_list(loop, std::move(plan));
}

Task<Explained<FoundCluster>> find_cluster(Loop& loop, ClientConfig config) {
  Explained<LookupPlan> plan = plan_lookup(config);
  if (!plan) co_return std::unexpected(plan.error());
  Explained<FoundCluster> found = co_await find_cluster(loop, *plan);
  co_return std::move(found);
}

}  // namespace benchfs
