// Forming a cluster from a list of addresses, without a registry.
#include <fmt/format.h>

#include "cluster_fixture.hpp"

using namespace benchfs;
using namespace benchfs::test;

namespace {

struct ListFixture : ClusterFixture {
  std::vector<std::uint16_t> ports;
  Membership::Options options;
  void list(std::size_t count, std::int64_t timeout_ms = 10'000) {
    ports = free_ports(count);
    options.servers.clear();
    for (const auto port : ports) options.servers.push_back(fmt::format("localhost:{}", port));
    options.timeout_ms = timeout_ms;
    options.probe_ms = 1000;
  }
  TestServer& add_listed(std::size_t index, std::string id = "", std::string own_secret = "") {
    if (id.empty()) id = fmt::format("s{}", index);
    return add(id, options, fmt::format("{}-{}", id, index), ports[index], own_secret);
  }
};

TEST_SUITE("static list") {
  TEST_CASE_FIXTURE(ListFixture, "1, 3 and 8 servers form a cluster, and each gives its file") {
    for (const std::size_t count : {1u, 3u, 8u}) {
      CAPTURE(count);
      list(count);
      for (std::size_t i = count; i-- > 0;) add_listed(i, fmt::format("c{}-{}", count, i));
      const ClusterInfo cluster = start_all();
      CHECK(cluster.servers.size() == count);
      for (const auto port : ports) {
        std::string nothing;
        const auto text = loop->run(bootstrap_call(*loop, "127.0.0.1", port, bootstrap::Op::cluster,
                                                   nothing, secret, 2000));
        REQUIRE(text);
        CHECK(decode_cluster(*text, "x") == cluster);
      }
      CHECK(!std::filesystem::exists(registry));
      stop_all();
    }
  }

  TEST_CASE_FIXTURE(ListFixture, "servers may start long before the coordinator") {
    list(2);
    add_listed(1);
    auto first = servers[0]->membership->form();
    loop->run([](Loop* l) -> Task<void> { co_await l->sleep_ns(300'000'000); }(loop.get()));
    CHECK(!first.done());
    add_listed(0);
    CHECK(loop->run(servers[1]->membership->form()));
    CHECK(loop->run(std::move(first)));
  }

  TEST_CASE_FIXTURE(ListFixture, "a server that its list does not lead to is told so") {
    list(2);
    const std::uint16_t elsewhere = free_ports(1)[0];
    TestServer& server = add("s0", options, "", elsewhere);
    const Formed formed = loop->run(server.membership->form());
    REQUIRE(!formed);
    CHECK(mentions(formed.error(), options.servers[0]));
    CHECK(mentions(formed.error(), std::to_string(elsewhere)));
  }

  TEST_CASE_FIXTURE(ListFixture, "missing servers end the wait on both sides, with a text") {
    list(3, 700);
    add_listed(0);
    add_listed(2);
    auto results = form_all();
    REQUIRE(!results[0]);
    REQUIRE(!results[1]);
    CHECK(mentions(results[0].error(), "2 of 3 expected servers are here (s0, s2)"));
    servers.clear();
    add_listed(1);  // without its coordinator
    const Formed alone = loop->run(servers[0]->membership->form());
    REQUIRE(!alone);
    CHECK(mentions(alone.error(), options.servers[0]));
  }

  TEST_CASE_FIXTURE(ListFixture,
                    "one id twice, a list with a name twice, and a wrong secret are errors") {
    list(2, 1500);
    add_listed(0, "same");
    add_listed(1, "same");
    auto results = form_all();
    REQUIRE(!results[1]);
    CHECK(mentions(results[1].error(), "two servers cannot have one id"));
    servers.clear();

    add_listed(0);
    add_listed(1, "", std::string(32, 'w'));
    results = form_all();
    REQUIRE(!results[1]);
    CHECK(mentions(results[1].error(), "secret"));
    servers.clear();

    options.servers[1] = options.servers[0];
    const Formed twice = loop->run(add_listed(0, "t").membership->form());
    REQUIRE(!twice);
    CHECK(mentions(twice.error(), "named twice"));
  }

  TEST_CASE_FIXTURE(ListFixture, "restart on the same directories is the same cluster") {
    list(2);
    add_listed(0);
    add_listed(1);
    const ClusterInfo old = start_all();
    kill_all();
    add_listed(0);
    add_listed(1);
    CHECK(start_all().cluster_id == old.cluster_id);
  }

  TEST_CASE_FIXTURE(ListFixture,
                    "a coordinator that comes back alone meets the old cluster and says so") {
    list(2);
    add_listed(0);
    add_listed(1);
    const ClusterInfo old = start_all();
    servers.erase(servers.begin());
    const Formed formed = loop->run(add_listed(0).membership->form());
    REQUIRE(!formed);
    CHECK(mentions(formed.error(), to_hex(old.cluster_id)));
  }
}

}  // namespace
