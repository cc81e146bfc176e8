// What a client finds: a living cluster through registry or list, and otherwise a text that tells
// what is the matter.
#include "net/cluster_lookup.hpp"

#include <fmt/format.h>

#include "cluster_fixture.hpp"

using namespace benchfs;
using namespace benchfs::test;

namespace {

/// Sets a variable for a scope.
class Variable {
 public:
  Variable(const char* name, const std::string& value) : name_(name) {
    if (const char* before = std::getenv(name)) before_ = before;
    if (value.empty()) {
      unsetenv(name);
    } else {
      setenv(name, value.c_str(), 1);
    }
  }
  ~Variable() {
    if (before_) {
      setenv(name_, before_->c_str(), 1);
    } else {
      unsetenv(name_);
    }
  }

 private:
  const char* name_;
  std::optional<std::string> before_;
};

struct LookupFixture : ClusterFixture {
  ClientConfig config;
  LookupFixture() {
    config.registry = registry;
    config.deadline_ms = 1000;
    config.failure_detect_ms = 500;
    ServerConfig server;
    server.registry = registry;
    secret = *job_secret(server);
  }
  Explained<FoundCluster> find() { return loop->run(find_cluster(*loop, config)); }
  TextError failure() {
    auto found = find();
    REQUIRE(!found);
    return found.error();
  }
  ClusterInfo start(std::uint32_t count) {
    for (std::uint32_t i = 0; i < count; ++i) add(fmt::format("s{}", i), registry_options(count));
    return start_all();
  }
};

TEST_SUITE("cluster lookup") {
  TEST_CASE_FIXTURE(LookupFixture,
                    "a living cluster is found through its registry, with the secret") {
    const ClusterInfo cluster = start(3);
    const auto found = find();
    REQUIRE(found);
    CHECK(found->info == cluster);
    CHECK(found->secret == secret);
  }

  TEST_CASE_FIXTURE(LookupFixture, "no cluster is said at once, with what to do") {
    const std::int64_t began_ms = now_ms();
    const TextError empty = failure();
    CHECK(empty.code == Errc::not_found);
    CHECK(empty.text ==
          "no BenchFS cluster in registry " + registry + ": start one with `benchfs start`");
    std::filesystem::remove_all(registry);
    CHECK(failure().code == Errc::not_found);
    CHECK(now_ms() - began_ms < 900);
  }

  TEST_CASE_FIXTURE(LookupFixture, "a cluster of a killed run is stale, never waited for") {
    const ClusterInfo cluster = start(2);
    kill_all();
    config.deadline_ms = 20'000;
    const std::int64_t began_ms = now_ms();
    const TextError stale = failure();
    CHECK(now_ms() - began_ms < 3000);
    CHECK(stale.code == Errc::stale);
    CHECK(mentions(stale.text, to_hex(cluster.cluster_id)));
    CHECK(mentions(stale.text, format_wall_time(cluster.created_ns)));
    CHECK(mentions(stale.text, "rm " + registry + "/cluster.yaml"));
  }

  TEST_CASE_FIXTURE(LookupFixture, "after a clean stop there is no cluster") {
    start(2);
    stop_all();
    CHECK(failure().code == Errc::not_found);
  }

  TEST_CASE_FIXTURE(LookupFixture,
                    "a port taken over by another process does not pass for the server") {
    start(1);
    const std::uint16_t port = servers[0]->bootstrap->port();
    kill_all();
    registry = root + "/registry2";
    add("x", registry_options(1), "x", port);
    CHECK(failure().code == Errc::stale);
  }

  TEST_CASE_FIXTURE(LookupFixture, "one dead server of several does not hide the cluster") {
    const ClusterInfo cluster = start(3);
    servers[1]->kill();
    for (int i = 0; i < 8; ++i) CHECK(find());
    CHECK(find()->info == cluster);
  }

  TEST_CASE_FIXTURE(LookupFixture, "a cluster that is forming is waited for") {
    add("s0", registry_options(2));
    auto first = servers[0]->membership->form();
    loop->run_until([&] { return std::filesystem::exists(registry + "/s0.server"); });
    config.deadline_ms = 10'000;
    auto finding = find_cluster(*loop, config);
    loop->run([](Loop* l) -> Task<void> { co_await l->sleep_ns(100'000'000); }(loop.get()));
    CHECK(!finding.done());
    add("s1", registry_options(2));
    REQUIRE(loop->run(servers[1]->membership->form()));
    REQUIRE(loop->run(std::move(first)));
    announce_all();
    CHECK(loop->run(std::move(finding)));
  }

  TEST_CASE_FIXTURE(LookupFixture, "a cluster that goes on forming ends at the deadline") {
    add("s0", registry_options(2, 1500));
    auto forming = servers[0]->membership->form();
    loop->run_until([&] { return std::filesystem::exists(registry + "/s0.server"); });
    config.deadline_ms = 300;
    const TextError late = failure();
    CHECK(late.code == Errc::timed_out);
    CHECK(mentions(late.text, "still forming"));
    REQUIRE(!loop->run(std::move(forming)));
  }

  TEST_CASE_FIXTURE(LookupFixture, "damage is said: cluster file, secret, registry") {
    start(1);
    std::filesystem::permissions(registry + "/secret", std::filesystem::perms(0644));
    CHECK(failure().code == Errc::access);
    std::filesystem::remove(registry + "/secret");
    CHECK(mentions(failure().text, registry + "/secret"));
    write_text(registry + "/cluster.yaml", "garbage");
    const TextError damaged = failure();
    CHECK(damaged.code == Errc::bad_message);
    CHECK(mentions(damaged.text, registry + "/cluster.yaml"));
    std::filesystem::permissions(registry, std::filesystem::perms::all);
    CHECK(mentions(failure().text, "others can write"));
  }

  TEST_CASE_FIXTURE(LookupFixture,
                    "a list of servers gives the cluster, past those that are dead") {
    const ClusterInfo cluster = start(2);
    config.registry.clear();
    config.secret_file = registry + "/secret";
    const std::uint16_t dead = free_ports(1)[0];
    config.servers = {fmt::format("127.0.0.1:{}", dead),
                      fmt::format("localhost:{}", servers[1]->bootstrap->port())};
    for (int i = 0; i < 4; ++i) {
      const auto found = find();
      REQUIRE(found);
      CHECK(found->info == cluster);
    }
    config.servers.pop_back();
    const TextError none = failure();
    CHECK(none.code == Errc::unreachable);
    CHECK(mentions(none.text, std::to_string(dead)));
  }

  TEST_CASE_FIXTURE(LookupFixture, "a list needs a secret, and the right one") {
    start(1);
    config.registry.clear();
    config.servers = {fmt::format("127.0.0.1:{}", servers[0]->bootstrap->port())};
    CHECK(mentions(failure().text, "secret_file"));
    config.secret_file = root + "/wrong";
    write_text(config.secret_file, std::string(32, 'w'));
    std::filesystem::permissions(config.secret_file, std::filesystem::perms(0600));
    CHECK(failure().code == Errc::access);
  }

  TEST_CASE_FIXTURE(LookupFixture, "the default registry: variable, runtime directory, /tmp") {
    {
      const Variable chosen("BENCHFS_REGISTRY", "/somewhere");
      CHECK(default_registry() == "/somewhere");
    }
    const Variable none("BENCHFS_REGISTRY", "");
    {
      const Variable runtime("XDG_RUNTIME_DIR", root);
      CHECK(default_registry() == root + "/benchfs/registry");
      std::filesystem::create_directories(root + "/benchfs");
      CHECK(default_registry().has_value());
      std::filesystem::permissions(root + "/benchfs", std::filesystem::perms::all);
      CHECK(!default_registry());
    }
    const Variable no_runtime("XDG_RUNTIME_DIR", "");
    const auto shared = default_registry();
    if (shared) CHECK(*shared == fmt::format("/tmp/benchfs-{}/registry", geteuid()));
  }
}

}  // namespace
