// `benchfs status`: asks every server of a cluster for its state, and shows it as a table or as
// JSON. A dead server does not hide the others.
#include "status.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string_view>
#include <thread>

#include "base/clock.hpp"
#include "base/text.hpp"
#include "command.hpp"
#include "paths.hpp"

namespace benchfs::tools {
namespace {

constexpr int kPauseMs = 100;

struct StatusOptions {
  std::string registry, servers;
  bool json = false;
  std::int64_t wait_ms = 0;
};

struct Disconnect {
  void operator()(benchfs_t* fs) const { benchfs_disconnect(fs); }
};

double share_percent(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? 0.0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole);
}

std::string uptime(std::uint64_t ms) {
  const std::uint64_t shown_ms = ms < 1000 ? ms : ms / 1000 * 1000;
  return format_duration(shown_ms * 1'000'000);
}

Row cells(const ServerStatus& status, std::uint64_t written_by_all) {
  return {std::to_string(status.files),
          format_bytes(status.stored_bytes),
          format_bytes(status.free_bytes),
          format_bytes(status.read_bytes),
          format_bytes(status.written_bytes),
          fmt::format("{:.1f} %", share_percent(status.written_bytes, written_by_all)),
          std::to_string(status.sessions)};
}

std::string json_numbers(const ServerStatus& status) {
  return fmt::format(
      "\"files\": {}, \"stored_bytes\": {}, \"capacity_bytes\": {}, \"free_bytes\": {}, "
      "\"sessions\": {}, \"requests\": {}, \"read_bytes\": {}, \"written_bytes\": {}",
      status.files, status.stored_bytes, status.capacity_bytes, status.free_bytes, status.sessions,
      status.requests, status.read_bytes, status.written_bytes);
}

// Asks until all servers answer, or until `wait_ms` have passed; gives the last answer.
std::expected<ClusterState, std::string> wait_for_cluster(const char* cluster,
                                                          std::int64_t wait_ms) {
  const std::int64_t end_ms = now_ms() + wait_ms;
  while (true) {
    auto state = query_cluster(cluster);
    if ((state && state->dead() == 0) || now_ms() >= end_ms) return state;
    std::this_thread::sleep_for(std::chrono::milliseconds(kPauseMs));
  }
}

int show_status(const StatusOptions& options) {
  const std::string given = options.servers.empty() && !options.registry.empty()
                                ? absolute(options.registry)
                                : options.servers;
  const auto cluster = wait_for_cluster(given.empty() ? nullptr : given.c_str(), options.wait_ms);
  if (!cluster) {
    print_error("status", cluster.error());
    return kFailure;
  }
  fmt::print("{}", options.json ? to_json(*cluster) : to_table(*cluster));
  for (const ServerState& server : cluster->servers)
    if (!server.error.empty())
      print_error("status",
                  fmt::format("server {} on {}: {}", server.index, server.host, server.error));
  return cluster->dead() == 0 ? kOk : kFailure;
}

}  // namespace

std::string aligned(const std::vector<Row>& rows, std::size_t left) {
  std::vector<std::size_t> width;
  for (const Row& row : rows) {
    width.resize(std::max(width.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) width[i] = std::max(width[i], row[i].size());
  }
  std::string text;
  for (const Row& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i)
      line += i < left ? fmt::format("{:<{}}  ", row[i], width[i])
                       : fmt::format("{:>{}}  ", row[i], width[i]);
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

std::size_t ClusterState::dead() const {
  return static_cast<std::size_t>(std::count_if(servers.begin(), servers.end(),
                                                [](const auto& s) { return !s.error.empty(); }));
}

ServerStatus ClusterState::totals() const {
  ServerStatus sum{};
  for (const ServerState& server : servers) {
    sum.files += server.status.files;
    sum.stored_bytes += server.status.stored_bytes;
    sum.capacity_bytes += server.status.capacity_bytes;
    sum.free_bytes += server.status.free_bytes;
    sum.sessions += server.status.sessions;
    sum.requests += server.status.requests;
    sum.read_bytes += server.status.read_bytes;
    sum.written_bytes += server.status.written_bytes;
  }
  return sum;
}

std::expected<ClusterState, std::string> query_cluster(const char* cluster) {
  benchfs_t* connected = nullptr;
  if (benchfs_connect(cluster, &connected) != 0) return std::unexpected(benchfs_error());
  const std::unique_ptr<benchfs_t, Disconnect> fs(connected);
  ClusterState state;
  state.cluster_id = benchfs_cluster_id(connected);
  state.epoch = benchfs_epoch(connected);
  const int count = benchfs_server_count(connected);
  for (int i = 0; i < count; ++i) {
    ServerState server;
    server.index = i;
    if (const char* host = benchfs_server_host(connected, i)) server.host = host;
    if (benchfs_server_status(connected, i, &server.status) != 0) {
      const std::string_view text = benchfs_error();
      server.error = text.substr(text.starts_with("status: ") ? 8 : 0);
      server.status = {};
    }
    state.servers.push_back(std::move(server));
  }
  return state;
}

std::string to_table(const ClusterState& cluster) {
  const ServerStatus sum = cluster.totals();
  std::vector<Row> rows = {{"server", "id", "host", "pid", "epoch", "uptime", "files", "stored",
                            "free", "read", "written", "share", "sessions"}};
  for (const ServerState& server : cluster.servers) {
    if (!server.error.empty()) {
      rows.push_back({std::to_string(server.index), "-", server.host, "no answer"});
      continue;
    }
    const ServerStatus& status = server.status;
    Row row = {std::to_string(server.index),
               status.id,
               server.host,
               std::to_string(status.pid),
               std::to_string(status.epoch),
               uptime(status.uptime_ms)};
    for (std::string& cell : cells(status, sum.written_bytes)) row.push_back(std::move(cell));
    rows.push_back(std::move(row));
  }
  Row total = {"total", "", "", "", "", ""};
  for (std::string& cell : cells(sum, sum.written_bytes)) total.push_back(std::move(cell));
  rows.push_back(std::move(total));
  return fmt::format(
             "cluster {}, epoch {}, {} {}{}\n", cluster.cluster_id, cluster.epoch,
             cluster.servers.size(), cluster.servers.size() == 1 ? "server" : "servers",
             cluster.dead() == 0 ? "" : fmt::format(", {} without answer", cluster.dead())) +
         aligned(rows, 3);
}

std::string to_json(const ClusterState& cluster) {
  const ServerStatus sum = cluster.totals();
  std::vector<std::string> rows;
  for (const ServerState& server : cluster.servers) {
    std::string row =
        fmt::format("    {{\"index\": {}, \"host\": {}", server.index, json_string(server.host));
    if (server.error.empty()) {
      const ServerStatus& status = server.status;
      row += fmt::format(
          ", \"alive\": true, \"id\": {}, \"address\": {}, \"pid\": {}, \"epoch\": {}, "
          "\"uptime_ms\": {}, {}, \"written_share\": {:.4f}}}",
          json_string(status.id), json_string(status.address), status.pid, status.epoch,
          status.uptime_ms, json_numbers(status),
          share_percent(status.written_bytes, sum.written_bytes) / 100);
    } else {
      row += fmt::format(", \"alive\": false, \"error\": {}}}", json_string(server.error));
    }
    rows.push_back(std::move(row));
  }
  return fmt::format(
      "{{\n  \"cluster\": {}, \"epoch\": {}, \"dead\": {},\n  \"servers\": [\n{}\n  ],\n"
      "  \"total\": {{{}}}\n}}\n",
      json_string(cluster.cluster_id), cluster.epoch, cluster.dead(), fmt::join(rows, ",\n"),
      json_numbers(sum));
}

Command make_status(CLI::App& benchfs) {
  auto options = std::make_shared<StatusOptions>();
  CLI::App* app = benchfs.add_subcommand("status", "Show servers, epoch, bytes, files and uptime");
  app->add_flag("--json", options->json, "For programs");
  auto* registry = app->add_option("--registry", options->registry,
                                   "Registry directory (default: that of the environment)");
  app->add_option("--servers", options->servers,
                  "host:port,... of any servers, instead of a registry")
      ->excludes(registry);
  add_duration(*app, "--wait", options->wait_ms, "Wait as long as this until all servers answer");
  app->footer("Exit status 1 if there is no cluster or if a server does not answer.");
  name_values(*app);
  return {app, false, [options](const auto&) { return show_status(*options); }};
}

}  // namespace benchfs::tools
