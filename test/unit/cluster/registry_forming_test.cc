// Forming a cluster through a registry directory, with real files, sockets and several servers at
// once.
#include <limits.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include <cstring>
#include <set>

#include "cluster_fixture.hpp"

using namespace benchfs;
using namespace benchfs::test;

namespace {

TEST_SUITE("registry forming") {
  TEST_CASE_FIXTURE(ClusterFixture, "1, 3 and 8 servers form a cluster and publish it") {
    for (const std::uint32_t count : {1u, 3u, 8u}) {
      CAPTURE(count);
      registry = root + "/registry" + std::to_string(count);
      for (std::uint32_t i = count; i-- > 0;) {
        add("s" + std::to_string(i), registry_options(count),
            std::to_string(count) + "-" + std::to_string(i));
      }
      const std::int64_t began_ms = now_ms();
      const ClusterInfo cluster = start_all();
      CHECK(now_ms() - began_ms < 5000);
      REQUIRE(cluster.servers.size() == count);
      for (std::uint32_t i = 0; i < count; ++i)
        CHECK(cluster.servers[i].id == "s" + std::to_string(i));
      CHECK(cluster.epoch == 1);
      CHECK(cluster.map == SlotMap::initial(count, cluster.cluster_id));
      const auto published = read_registry_cluster(registry, registry_names::kCluster);
      REQUIRE(published);
      CHECK(*published == cluster);
      for (const auto& server : servers) CHECK(server->data->stored() == cluster);
      struct stat st {};
      REQUIRE(stat(registry.c_str(), &st) == 0);
      CHECK((st.st_mode & 0777) == 0700);
      stop_all();
      CHECK(std::filesystem::is_empty(registry));  // a clean exit leaves nothing
    }
  }

  TEST_CASE_FIXTURE(ClusterFixture, "a record is not read by the servers that come before it") {
    REQUIRE(std::filesystem::create_directory(registry));
    REQUIRE(chmod(registry.c_str(), 0700) == 0);
    const Fd watch(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
    REQUIRE(watch);
    REQUIRE(inotify_add_watch(watch.get(), registry.c_str(), IN_OPEN) >= 0);
    for (std::uint32_t i = 0; i < 12; ++i) {
      add("s" + std::to_string(10 + i), registry_options(12));
    }
    start_all();
    const std::string last = "s21" + std::string(registry_names::kRecordSuffix);
    std::size_t reads_of_last = 0;
    std::size_t reads = 0;
    alignas(inotify_event) std::array<char, 64 * (sizeof(inotify_event) + NAME_MAX + 1)> events;
    ssize_t got = 0;
    while ((got = read(watch.get(), events.data(), events.size())) > 0) {
      for (ssize_t at = 0; at < got;) {
        inotify_event event;
        std::memcpy(&event, events.data() + at, sizeof(event));
        const std::string name = event.len > 0 ? events.data() + at + sizeof(event) : "";
        at += static_cast<ssize_t>(sizeof(event) + event.len);
        if (!name.ends_with(registry_names::kRecordSuffix)) continue;
        ++reads;
        reads_of_last += name == last;
      }
    }
    CHECK(reads >= 12);
    CHECK(reads_of_last >= 1);
    CHECK(reads_of_last <= 3);  // by its own server, and by the one that publishes
    stop_all();
  }

  TEST_CASE_FIXTURE(ClusterFixture, "servers that start late are waited for") {
    add("s0", registry_options(2));
    auto first = servers[0]->membership->form();
    loop->run([](Loop* l) -> Task<void> { co_await l->sleep_ns(300'000'000); }(loop.get()));
    CHECK(!first.done());
    add("s1", registry_options(2));
    auto second = servers[1]->membership->form();
    const Formed a = loop->run(std::move(first));
    const Formed b = loop->run(std::move(second));
    REQUIRE(a);
    REQUIRE(b);
    CHECK(*a == *b);
  }

  TEST_CASE_FIXTURE(ClusterFixture, "nothing is published before all servers are ready") {
    add("s0", registry_options(2));
    add("s1", registry_options(2));
    for (const auto& formed : form_all()) REQUIRE(formed);
    auto early = servers[0]->membership->announce();
    loop->run([](Loop* l) -> Task<void> { co_await l->sleep_ns(300'000'000); }(loop.get()));
    CHECK(!early.done());
    CHECK(!std::filesystem::exists(registry + "/cluster.yaml"));
    CHECK(loop->run(servers[1]->membership->announce()));
    CHECK(loop->run(std::move(early)));
    CHECK(std::filesystem::exists(registry + "/cluster.yaml"));
  }

  TEST_CASE_FIXTURE(ClusterFixture,
                    "a server that dies before it is ready ends the cluster for all") {
    add("s0", registry_options(2, 5000));
    add("s1", registry_options(2, 5000));
    for (const auto& formed : form_all()) REQUIRE(formed);
    servers[1]->kill();
    const Announced announced = loop->run(servers[0]->membership->announce());
    REQUIRE(!announced);
    CHECK(mentions(announced.error(), "server s1"));
    CHECK(!std::filesystem::exists(registry + "/cluster.yaml"));
  }

  TEST_CASE_FIXTURE(ClusterFixture,
                    "a missing server ends the wait with who is there and how many are missing") {
    add("s0", registry_options(3, 600));
    add("s1", registry_options(3, 600));
    const auto results = form_all();
    for (const auto& result : results) {
      REQUIRE(!result);
      CHECK(mentions(result.error(), "2 of 3 expected servers are here (s0, s1)"));
    }
    CHECK(list_records(registry)->empty());
  }

  TEST_CASE_FIXTURE(ClusterFixture,
                    "more servers than expected is an error, not a cluster without some") {
    for (const char* id : {"s0", "s1", "s2"}) add(id, registry_options(2, 3000));
    std::size_t failed = 0;
    for (const auto& result : form_all()) failed += !result;
    // Either the coordinator saw three, or two were a cluster before the third came.
    CHECK((failed == 3 || failed == 1));
  }

  TEST_CASE_FIXTURE(ClusterFixture, "after kill -9 of all, the next run replaces what they left") {
    add("s0", registry_options(2), "old0");
    add("s1", registry_options(2), "old1");
    const std::uint64_t old_id = start_all().cluster_id;
    kill_all();
    CHECK(std::filesystem::exists(registry + "/cluster.yaml"));
    write_text(registry + "/.tmp.half.written", "x");

    add("s0", registry_options(2), "new0");
    add("s1", registry_options(2), "new1");
    const ClusterInfo cluster = start_all();
    CHECK(cluster.cluster_id != old_id);
    CHECK(*list_records(registry) == std::vector<std::string>{"s0.server", "s1.server"});
    CHECK(!std::filesystem::exists(registry + "/.tmp.half.written"));
    CHECK(read_registry_cluster(registry, registry_names::kCluster) == cluster);
  }

  TEST_CASE_FIXTURE(ClusterFixture,
                    "records of dead servers with smaller ids hold nobody up, and are removed") {
    ServerRecord dead;
    dead.id = "a0";
    dead.host = "node";
    dead.pid = 1;
    dead.bootstrap_host = "127.0.0.1";
    dead.bootstrap_port = free_ports(1)[0];
    dead.instance = 5;
    dead.ucx_address = {std::byte{1}};
    std::filesystem::create_directories(registry);
    std::filesystem::permissions(registry, std::filesystem::perms::owner_all);
    write_text(registry + "/a0.server", encode_record(dead));
    dead.id = "s1";
    write_text(registry + "/s1.server", encode_record(dead));  // the name of one that will come
    add("s0", registry_options(2));
    add("s1", registry_options(2));
    const std::int64_t began_ms = now_ms();
    const ClusterInfo cluster = start_all();
    CHECK(now_ms() - began_ms < 3000);
    CHECK(cluster.servers.size() == 2);
    CHECK(*list_records(registry) == std::vector<std::string>{"s0.server", "s1.server"});
  }

  TEST_CASE_FIXTURE(ClusterFixture, "garbage in the registry is ignored") {
    std::filesystem::create_directories(registry);
    std::filesystem::permissions(registry, std::filesystem::perms::owner_all);
    write_text(registry + "/a.server", "garbage");
    write_text(registry + "/b.server", std::string(1 << 20, 'x'));
    write_text(registry + "/empty.server", "");
    write_text(registry + "/s1.server", "a name that one will need");
    write_text(registry + "/cluster.yaml", "{{{{");
    write_text(registry + "/README", "hello");
    std::filesystem::create_directory(registry + "/dir.server");
    std::filesystem::create_symlink("/dev/zero", registry + "/link.server");
    REQUIRE(mkfifo((registry + "/fifo.server").c_str(), 0600) == 0);
    add("s0", registry_options(2));
    add("s1", registry_options(2));
    CHECK(start_all().servers.size() == 2);
    CHECK(std::filesystem::exists(registry + "/a.server"));  // not ours to remove
  }

  TEST_CASE_FIXTURE(ClusterFixture,
                    "a registry in use by a living cluster is refused at once, and left alone") {
    add("s1", registry_options(1));
    const ClusterInfo living = start_all();
    for (const std::string id : {"s0", "s2"}) {  // before and after the living one in order
      TestServer& intruder = add(id, registry_options(1, 10'000));
      const std::int64_t began_ms = now_ms();
      const Formed formed = loop->run(intruder.membership->form());
      REQUIRE(!formed);
      CHECK(mentions(formed.error(), format_wall_time(living.created_ns)));
      CHECK(mentions(formed.error(), "stop it"));
      CHECK(now_ms() - began_ms < 3000);
      intruder.kill();
    }
    CHECK(read_registry_cluster(registry, registry_names::kCluster) == living);
    CHECK(*list_records(registry) == std::vector<std::string>{"s1.server"});
  }

  TEST_CASE_FIXTURE(ClusterFixture, "a cluster that is shutting down is waited for") {
    add("s0", registry_options(1));
    const ClusterInfo old = start_all();
    servers[0]->bootstrap->set_state(bootstrap::State::draining);
    add("s1", registry_options(1));
    auto forming = servers[1]->membership->form();
    loop->run([](Loop* l) -> Task<void> { co_await l->sleep_ns(200'000'000); }(loop.get()));
    CHECK(!forming.done());
    servers[0]->stop();
    const Formed formed = loop->run(std::move(forming));
    REQUIRE(formed);
    CHECK(formed->cluster_id != old.cluster_id);
  }

  TEST_CASE_FIXTURE(ClusterFixture, "two living servers with one id: the second is refused") {
    add("s0", registry_options(2), "first");
    auto first = servers[0]->membership->form();
    loop->run_until([&] { return std::filesystem::exists(registry + "/s0.server"); });
    TestServer& second = add("s0", registry_options(2), "second");
    const Formed refused = loop->run(second.membership->form());
    REQUIRE(!refused);
    CHECK(mentions(refused.error(), "two servers cannot have one id"));
    second.kill();
    CHECK(std::filesystem::exists(registry + "/s0.server"));
    add("s1", registry_options(2));
    CHECK(loop->run(servers.back()->membership->form()));
    CHECK(loop->run(std::move(first)));
  }

  TEST_CASE_FIXTURE(ClusterFixture, "a record that is removed while forming is put back") {
    add("s0", registry_options(2));
    auto first = servers[0]->membership->form();
    loop->run_until([&] { return std::filesystem::exists(registry + "/s0.server"); });
    std::filesystem::remove(registry + "/s0.server");
    add("s1", registry_options(2));
    CHECK(loop->run(servers[1]->membership->form()));
    CHECK(loop->run(std::move(first)));
  }

  TEST_CASE_FIXTURE(ClusterFixture, "forming and announcing can be canceled, and leave no record") {
    add("s0", registry_options(2));
    auto forming = servers[0]->membership->form();
    loop->run_until([&] { return std::filesystem::exists(registry + "/s0.server"); });
    servers[0]->membership->cancel();
    const std::int64_t began_ms = now_ms();
    CHECK(!loop->run(std::move(forming)));
    CHECK(list_records(registry)->empty());
    servers.clear();
    add("s0", registry_options(2));
    add("s1", registry_options(2));
    for (const auto& formed : form_all()) REQUIRE(formed);
    auto announcing = servers[1]->membership->announce();  // s0 never does
    servers[1]->membership->cancel();
    CHECK(!loop->run(std::move(announcing)));
    CHECK(now_ms() - began_ms < 5000);
    CHECK(!std::filesystem::exists(registry + "/s1.server"));
  }

  TEST_CASE_FIXTURE(ClusterFixture, "a server with another secret is told so") {
    add("s0", registry_options(2, 1500));
    add("s1", registry_options(2, 1500), "", 0, std::string(32, 'x'));
    const auto results = form_all();
    REQUIRE(!results[1]);
    CHECK(mentions(results[1].error(), "secret"));
    REQUIRE(!results[0]);
    CHECK(mentions(results[0].error(), "1 of 2 expected servers are here (s0)"));
  }

  TEST_CASE_FIXTURE(ClusterFixture,
                    "a registry that others can write to, or that is a file, is refused") {
    std::filesystem::create_directories(registry);
    std::filesystem::permissions(registry, std::filesystem::perms::all);
    TestServer& server = add("s0", registry_options(1));
    const Formed open_to_all = loop->run(server.membership->form());
    REQUIRE(!open_to_all);
    CHECK(mentions(open_to_all.error(), "others can write"));
    server.kill();
    std::filesystem::remove(registry);
    write_text(registry, "a file");
    const Formed file = loop->run(add("s0", registry_options(1)).membership->form());
    REQUIRE(!file);
    CHECK(mentions(file.error(), registry));
  }

  TEST_CASE_FIXTURE(ClusterFixture, "racing servers agree on one secret in the registry") {
    ServerConfig config;
    config.registry = registry;
    std::set<std::string> secrets;
    for (int i = 0; i < 4; ++i) {
      const auto made = job_secret(config);
      REQUIRE(made);
      CHECK(made->size() == 32);
      secrets.insert(*made);
    }
    CHECK(secrets.size() == 1);
    struct stat st {};
    REQUIRE(stat((registry + "/secret").c_str(), &st) == 0);
    CHECK((st.st_mode & 0777) == 0600);
    std::filesystem::permissions(registry + "/secret", std::filesystem::perms(0644));
    CHECK(!job_secret(config));
    ServerConfig listed;
    listed.servers = {"127.0.0.1:1"};
    const auto none = job_secret(listed);
    REQUIRE(!none);
    CHECK(mentions(none.error(), "secret_file"));
  }
}

}  // namespace
