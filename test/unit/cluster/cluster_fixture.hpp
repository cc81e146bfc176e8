// Servers as far as bootstrap goes, many in one process and on one loop: data directory, bootstrap
// port, membership.
#pragma once
#include <doctest/doctest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "cluster/membership.hpp"
#include "net/bootstrap_client.hpp"
#include "net/bootstrap_server.hpp"
#include "net/registry_dir.hpp"

namespace benchfs::test {

inline std::string make_temporary_directory() {
  const char* base = std::getenv("TMPDIR");
  std::string name = std::string(base != nullptr ? base : "/tmp") + "/benchfs-test-XXXXXX";
  REQUIRE(mkdtemp(name.data()) != nullptr);
  return name;
}

inline std::string read_text(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}
inline void write_text(const std::string& path, const std::string& text) {
  std::ofstream(path) << text;
}
inline bool mentions(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

using Formed = std::expected<ClusterInfo, std::string>;
using Announced = std::expected<void, std::string>;

struct TestServer {
  Loop& loop;
  std::optional<DataDirectory> data;
  std::unique_ptr<BootstrapServer> bootstrap;
  std::unique_ptr<Membership> membership;

  explicit TestServer(Loop& l) : loop(l) {}
  TestServer(const TestServer&) = delete;
  ~TestServer() { kill(); }
  /// As a clean exit does.
  void stop() {
    if (!bootstrap) return;
    bootstrap->set_state(bootstrap::State::draining);
    membership->leave();
    kill();
  }
  /// As kill -9 does: nothing is tidied.
  void kill() {
    if (!bootstrap) return;
    membership.reset();
    loop.run(bootstrap->close());
    bootstrap.reset();
    data.reset();
  }
};

struct ClusterFixture {
  std::unique_ptr<Loop> loop = std::move(*Loop::create({}));
  Loop::Scope scope{*loop};
  std::string root = make_temporary_directory();
  std::string registry = root + "/registry";
  std::string secret = std::string(32, 's');
  std::vector<std::unique_ptr<TestServer>> servers;

  ~ClusterFixture() {
    servers.clear();
    std::filesystem::remove_all(root);
  }

  Membership::Options registry_options(std::uint32_t expected, std::int64_t timeout_ms = 10'000) {
    Membership::Options options;
    options.registry = registry;
    options.expected = expected;
    options.timeout_ms = timeout_ms;
    options.probe_ms = 1000;
    return options;
  }

  /// A server `id` with its data in root/<directory>; port 0 is any.
  TestServer& add(const std::string& id, Membership::Options options, std::string directory = "",
                  std::uint16_t port = 0, std::string own_secret = "") {
    auto server = std::make_unique<TestServer>(*loop);
    auto data = DataDirectory::open(root + "/" + (directory.empty() ? id : directory), id);
    INFO((data ? "" : data.error()));
    REQUIRE(data);
    server->data.emplace(std::move(*data));
    BootstrapServer::Options listen;
    listen.port = port;
    listen.secret = own_secret.empty() ? secret : own_secret;
    listen.instance = random_id();
    auto bootstrap = BootstrapServer::start(*loop, listen);
    INFO((bootstrap ? "" : bootstrap.error()));
    REQUIRE(bootstrap);
    server->bootstrap = std::move(*bootstrap);
    const ListenAddress address{
        .bind_host = "127.0.0.1", .port = port, .host = "127.0.0.1", .net_device = "lo"};
    const std::vector<std::byte> ucx(16, std::byte{7});
    ServerRecord record = make_record(*server->data, address, *server->bootstrap, ucx);
    server->membership = std::make_unique<Membership>(*loop, std::move(options), std::move(record),
                                                      *server->data, *server->bootstrap);
    servers.push_back(std::move(server));
    return *servers.back();
  }

  /// Forms with all servers at once; results in their order.
  std::vector<Formed> form_all() {
    std::vector<Task<Formed>> tasks;
    for (auto& server : servers) tasks.push_back(server->membership->form());
    std::vector<Formed> results;
    for (auto& task : tasks) results.push_back(loop->run(std::move(task)));
    return results;
  }
  std::vector<Announced> announce_all() {
    std::vector<Task<Announced>> tasks;
    for (auto& server : servers) tasks.push_back(server->membership->announce());
    std::vector<Announced> results;
    for (auto& task : tasks) results.push_back(loop->run(std::move(task)));
    return results;
  }
  /// Forms and announces; all must succeed and agree.
  ClusterInfo start_all() {
    const auto formed = form_all();
    for (const auto& result : formed) {
      INFO((result ? "" : result.error()));
      REQUIRE(result);
      REQUIRE(*result == *formed[0]);
    }
    for (const auto& result : announce_all()) {
      INFO((result ? "" : result.error()));
      REQUIRE(result);
    }
    return *formed[0];
  }
  void kill_all() { servers.clear(); }
  void stop_all() {
    for (auto& server : servers) server->stop();
    servers.clear();
  }
  /// Ports that are free at this moment.
  std::vector<std::uint16_t> free_ports(std::size_t count) {
    std::vector<Listener> held;
    std::vector<std::uint16_t> ports;
    for (std::size_t i = 0; i < count; ++i) {
      auto listener = Listener::open(*loop, "127.0.0.1", 0);
      REQUIRE(listener);
      ports.push_back(listener->port());
      held.push_back(std::move(*listener));
    }
    return ports;
  }
};

}  // namespace benchfs::test
