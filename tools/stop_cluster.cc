// The cluster file says who the servers are; a probe says which of them live. A server has stopped
// when its port is closed and, if it is on this host, its process has gone.
#include "stop_cluster.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/client_config.hpp"
#include "base/clock.hpp"
#include "net/bootstrap_client.hpp"
#include "net/cluster_lookup.hpp"
#include "net/host.hpp"
#include "net/liveness.hpp"
#include "process.hpp"

namespace benchfs::tools {
namespace {

constexpr std::int64_t kPauseMs = 50;

bool has_gone(const ServerRecord& server, const Sighting& sighting) {
  if (sighting.liveness != Liveness::gone) return false;
  return server.host_id != host_id() || !start_ticks_of(static_cast<pid_t>(server.pid));
}

// Of `servers`, those that are still there when the time is over.
Task<std::vector<ServerRecord>> wait_gone(Loop& loop, std::vector<ServerRecord> servers,
                                          std::int64_t end_ms, std::int64_t probe_ms) {
  while (true) {
    const std::vector<Sighting> sightings = co_await look_for_all(loop, servers, probe_ms);
    std::vector<ServerRecord> there;
    for (std::size_t i = 0; i < servers.size(); ++i)
      if (!has_gone(servers[i], sightings[i])) there.push_back(servers[i]);
    servers = std::move(there);
    if (servers.empty() || now_ms() >= end_ms) co_return std::move(servers);
    co_await loop.sleep_ns(kPauseMs * 1'000'000);
  }
}

Task<Explained<StopReport>> stop_all(Loop& loop, LookupPlan plan, std::int64_t timeout_ms) {
  const std::int64_t end_ms = now_ms() + timeout_ms;
  const Explained<FoundCluster> found = co_await find_cluster(loop, plan);
  if (!found) co_return std::unexpected(found.error());

  StopReport report;
  std::vector<ServerRecord> asked;
  const std::vector<ServerRecord> servers = found->info.servers;
  const std::vector<Sighting> sightings = co_await look_for_all(loop, servers, plan.probe_ms);
  for (std::size_t i = 0; i < servers.size(); ++i) {
    const ServerRecord& server = servers[i];
    if (sightings[i].liveness == Liveness::gone) continue;
    if (sightings[i].liveness != Liveness::draining) {
      const Explained<void> told = co_await request_stop(
          loop, server.bootstrap_host, server.bootstrap_port, found->secret, plan.probe_ms);
      // One that ends in this very moment is no failure: the wait tells.
      if (!told && told.error().code != Errc::unreachable) {
        report.failed.push_back(fmt::format("{}: {}", describe(server), told.error().text));
        continue;
      }
    }
    asked.push_back(server);
  }
  const std::vector<ServerRecord> left = co_await wait_gone(loop, asked, end_ms, plan.probe_ms);
  for (const ServerRecord& server : asked) {
    if (std::find(left.begin(), left.end(), server) == left.end())
      report.stopped.push_back(describe(server));
    else
      report.failed.push_back(describe(server) + " was asked to stop, but has not ended yet");
  }
  co_return std::move(report);
}

}  // namespace

std::expected<StopReport, std::string> stop_cluster(const std::string& registry,
                                                    const std::string& servers,
                                                    std::int64_t timeout_ms) {
  auto loaded = load_client_config({.args = {}, .environment = config::process_environment()});
  if (!loaded) return std::unexpected(loaded.error());
  ClientConfig& settings = loaded->config;
  settings.registry = servers.empty() || !registry.empty() ? registry : settings.registry;
  settings.servers = split_list(servers);
  auto plan = plan_lookup(settings);
  if (!plan) return std::unexpected(plan.error().text);
  plan->deadline_ms = std::min(plan->deadline_ms, timeout_ms);

  auto loop = Loop::create({});
  if (!loop) return std::unexpected("cannot make an event loop");
  const Loop::Scope scope(**loop);
  Explained<StopReport> report = (*loop)->run(stop_all(**loop, std::move(*plan), timeout_ms));
  if (report) return std::move(*report);
  const Errc code = report.error().code;
  if (code == Errc::not_found || code == Errc::stale) return StopReport{};
  return std::unexpected(report.error().text);
}

}  // namespace benchfs::tools
