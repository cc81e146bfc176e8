// Starting again on data directories: the same cluster comes back, and nothing else is taken for
// it.
#include "cluster_fixture.hpp"

#include "cluster/build_cluster.hpp"

using namespace benchfs;
using namespace benchfs::test;

namespace {

struct RestartFixture : ClusterFixture {
  ClusterInfo old = start_two();
  ClusterInfo start_two() {
    add("s0", registry_options(2));
    add("s1", registry_options(2));
    ClusterInfo cluster = start_all();
    kill_all();
    return cluster;
  }
  std::string failure_of_all() {
    std::string text;
    for (const auto& result : form_all()) {
      REQUIRE(!result);
      if (text.empty()) text = result.error();
    }
    return text;
  }
};

TEST_SUITE("restart") {
  TEST_CASE_FIXTURE(RestartFixture,
                    "the same data directories are the same cluster, with new processes") {
    add("s1", registry_options(2));
    add("s0", registry_options(2));
    const ClusterInfo again = start_all();
    CHECK(again.cluster_id == old.cluster_id);
    CHECK(again.map == old.map);
    CHECK(again.servers[0].id == "s0");
    CHECK(again.servers[0].instance != old.servers[0].instance);
  }

  TEST_CASE_FIXTURE(RestartFixture, "names may be left out: the data directory knows its own") {
    auto data = DataDirectory::open(root + "/s0", "");
    REQUIRE(data);
    CHECK(data->server_id() == "s0");
  }

  TEST_CASE_FIXTURE(RestartFixture, "a new directory among old ones is an error that names it") {
    add("s0", registry_options(2, 4000));
    add("s9", registry_options(2, 4000));
    const std::string why = failure_of_all();
    CHECK(mentions(why, "missing: s1"));
    CHECK(mentions(why, "not part of it: s9"));
    CHECK(mentions(why, root + "/s9"));
  }

  TEST_CASE_FIXTURE(RestartFixture, "an emptied directory under an old name is an error") {
    std::filesystem::remove_all(root + "/s1");
    add("s0", registry_options(2, 4000));
    add("s1", registry_options(2, 4000));
    CHECK(mentions(failure_of_all(), "not the data directory that it was made with: s1"));
  }

  TEST_CASE_FIXTURE(RestartFixture, "directories of two clusters are an error that names both") {
    registry = root + "/other";
    add("t0", registry_options(1));
    const ClusterInfo other = start_all();
    kill_all();
    add("s0", registry_options(2, 4000));
    add("t0", registry_options(2, 4000));
    const std::string why = failure_of_all();
    CHECK(mentions(why, to_hex(old.cluster_id)));
    CHECK(mentions(why, to_hex(other.cluster_id)));
  }

  TEST_CASE_FIXTURE(RestartFixture, "with a server too few the old cluster is not cut down") {
    add("s0", registry_options(1, 4000));
    CHECK(mentions(failure_of_all(), "missing: s1"));
  }

  TEST_CASE_FIXTURE(RestartFixture,
                    "servers that died before they remembered the cluster come back to it") {
    std::filesystem::remove(root + "/s0/cluster.yaml");
    add("s0", registry_options(2));
    add("s1", registry_options(2));
    CHECK(start_all().cluster_id == old.cluster_id);
  }

  TEST_CASE_FIXTURE(RestartFixture, "the newest epoch wins") {
    ClusterInfo newer = old;
    REQUIRE(newer.map.remove(1));
    REQUIRE(newer.map.add(1));
    newer.epoch = newer.map.epoch();
    {
      auto data = DataDirectory::open(root + "/s1", "s1");
      REQUIRE(data);
      REQUIRE(data->store(newer));
    }
    add("s0", registry_options(2));
    add("s1", registry_options(2));
    const ClusterInfo again = start_all();
    CHECK(again.epoch == 3);
    CHECK(again.map == newer.map);
  }

  TEST_CASE("indices stay, whatever the order of ids") {
    ServerRecord a;
    a.id = "a";
    a.instance = 1;
    a.store_id = 10;
    a.stored_cluster_id = 5;
    a.stored_epoch = 1;
    ServerRecord z = a;
    z.id = "z";
    z.instance = 2;
    z.store_id = 11;
    const ClusterInfo stored{.cluster_id = 5,
                             .epoch = 1,
                             .created_ns = 1,
                             .servers = {z, a},
                             .map = SlotMap::initial(2, 5)};
    a.instance = 3;
    const auto built = build_cluster({a, z}, stored, 99, 7);
    REQUIRE(built);
    CHECK(built->cluster_id == 5);
    CHECK(built->created_ns == 7);
    CHECK(built->servers[0] == z);
    CHECK(built->servers[1] == a);
    CHECK(!build_cluster({a, z}, std::nullopt, 99, 7));
  }
}

TEST_SUITE("data directory") {
  TEST_CASE_FIXTURE(ClusterFixture, "a directory in use is an error that names the pid") {
    auto first = DataDirectory::open(root + "/data", "s0");
    REQUIRE(first);
    const auto second = DataDirectory::open(root + "/data", "s0");
    REQUIRE(!second);
    CHECK(mentions(second.error(), root + "/data"));
    CHECK(mentions(second.error(), "pid " + std::to_string(getpid())));
  }

  TEST_CASE_FIXTURE(ClusterFixture,
                    "another server's directory, a file, and damaged files are errors") {
    { REQUIRE(DataDirectory::open(root + "/data", "s0")); }
    const auto foreign = DataDirectory::open(root + "/data", "s1");
    REQUIRE(!foreign);
    CHECK(mentions(foreign.error(), "belongs to server \"s0\""));
    write_text(root + "/file", "");
    CHECK(!DataDirectory::open(root + "/file", "s0"));
    CHECK(!DataDirectory::open(root + "/file/below", "s0"));
    CHECK(!DataDirectory::open("/proc/benchfs", "s0"));
    CHECK(!DataDirectory::open(root + "/bad", "../x"));
    write_text(root + "/data/cluster.yaml", "damaged");
    CHECK(mentions(DataDirectory::open(root + "/data", "s0").error(), "is damaged"));
    std::filesystem::remove(root + "/data/cluster.yaml");
    write_text(root + "/data/identity.yaml", "damaged");
    CHECK(mentions(DataDirectory::open(root + "/data", "s0").error(), "is damaged"));
  }

  TEST_CASE_FIXTURE(ClusterFixture, "without a name a server gets one, and keeps it") {
    std::string id;
    {
      auto data = DataDirectory::open(root + "/a/b/c", "");
      REQUIRE(data);
      id = data->server_id();
      CHECK(config::valid_server_id(id));
    }
    CHECK(DataDirectory::open(root + "/a/b/c", "")->server_id() == id);
    CHECK(DataDirectory::open(root + "/other", "")->server_id() != id);
  }
}

}  // namespace
