// The texts of cluster files and records: what is written is read back; anything else is refused
// with a text that names file and cause.
#include "net/cluster_info.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace benchfs;

namespace {

ServerRecord some_record(std::string id, std::uint64_t instance) {
  ServerRecord record;
  record.id = std::move(id);
  record.host = "node1";
  record.host_id = 0xabcdef;
  record.pid = 4711;
  record.bootstrap_host = "10.0.0.1";
  record.bootstrap_port = 4000;
  record.instance = instance;
  record.ucx_address = {std::byte{1}, std::byte{0}, std::byte{0xff}};
  record.data_dir = "/scratch/a \"quoted\" \\ path\n\x7f";
  record.store_id = 77;
  record.started_ns = 1'700'000'000'000'000'000;
  return record;
}

ClusterInfo some_cluster(std::uint32_t servers) {
  ClusterInfo cluster{.cluster_id = 0x1234'5678'9abc'def0,
                      .epoch = 1,
                      .created_ns = 1'700'000'000'000'000'000,
                      .servers = {},
                      .map = SlotMap::initial(servers, 5)};
  for (std::uint32_t i = 0; i < servers; ++i) {
    cluster.servers.push_back(some_record("s" + std::to_string(i), 100 + i));
  }
  return cluster;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

/// The error of a record text; "" if it was accepted.
std::string record_error(const std::string& text) {
  const auto record = decode_record(text, "FILE");
  return record ? "" : record.error();
}
std::string cluster_error(const std::string& text) {
  const auto cluster = decode_cluster(text, "FILE");
  return cluster ? "" : cluster.error();
}
bool mentions(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_SUITE("cluster_info") {
  TEST_CASE("a record is read back as it was written") {
    ServerRecord record = some_record("s0", 1);
    CHECK(decode_record(encode_record(record), "x") == record);
    record.stored_cluster_id = 9;
    record.stored_epoch = 3;
    CHECK(decode_record(encode_record(record), "x") == record);
  }

  TEST_CASE("a cluster is read back as it was written, slot map included") {
    const ClusterInfo cluster = some_cluster(5);
    const auto read = decode_cluster(encode_cluster(cluster), "x");
    REQUIRE(read);
    CHECK(*read == cluster);
    CHECK(read->find_instance(102) == &read->servers[2]);
    CHECK(read->find_instance(99) == nullptr);
  }

  TEST_CASE("identity and failure are read back") {
    const StoreIdentity identity{"s0", 55};
    CHECK(decode_identity(encode_identity(identity), "x") == identity);
    CHECK(!decode_identity(encode_record(some_record("s0", 1)), "x"));
  }

  TEST_CASE("what is not a record is refused, with file and cause") {
    const std::string good = encode_record(some_record("s0", 1));
    for (const std::string text :
         {"", "garbage", "[1, 2", "- a\n- b\n", "{a: 1}", "\xff\xfe\x00\x01", "a: &x [*x]",
          "%YAML 9\n", ", x", ",? {a: b}", "--- {}\n---\n{}"}) {
      CAPTURE(text);
      CHECK(record_error(text).starts_with("FILE: "));
    }
    CHECK(mentions(record_error(replaced(good, "pid: 4711", "pid: -1")), "pid"));
    CHECK(mentions(record_error(replaced(good, "pid: 4711", "pid: [4711]")), "pid"));
    CHECK(mentions(record_error(replaced(good, "pid: 4711\n", "")), "lacks the key pid"));
    CHECK(mentions(record_error(good + "pid: 4711\n"), "repeats the key \"pid\""));
    CHECK(mentions(record_error(good + "surprise: 1\n"), "unknown key \"surprise\""));
    CHECK(mentions(record_error(replaced(good, "version: 1", "version: 2")), "version"));
    CHECK(mentions(record_error(replaced(good, "benchfs: server", "benchfs: cluster")), "benchfs"));
    CHECK(mentions(record_error(replaced(good, "bootstrap_port: 4000", "bootstrap_port: 65536")),
                   "bootstrap_port"));
    CHECK(mentions(record_error(replaced(good, "\"s0\"", "\"../x\"")), "id"));
    CHECK(
        mentions(record_error(replaced(good, "instance: \"0000000000000001\"", "instance: \"0\"")),
                 "instance"));
    CHECK(mentions(record_error(replaced(good, "\"AQD/\"", "\"AQD\"")), "ucx_address"));
    CHECK(mentions(record_error(replaced(good, "\"AQD/\"", "\"\"")), "ucx_address"));
    CHECK(mentions(record_error(replaced(good, "stored_epoch: 0", "stored_epoch: 1")),
                   "stored_epoch"));
    CHECK(mentions(record_error(good + std::string(kRecordTextMax, '#')), "at most"));
    CHECK(record_error(good).empty());
  }

  TEST_CASE("what is not a cluster file is refused, with file and cause") {
    const std::string good = encode_cluster(some_cluster(2));
    CHECK(cluster_error(good).empty());
    CHECK(mentions(cluster_error(replaced(good, "\"s1\"", "\"s0\"")), "server 1: has the id"));
    CHECK(mentions(cluster_error(replaced(good, "\"0000000000000065\"", "\"0000000000000064\"")),
                   "server 1: has the instance"));
    CHECK(mentions(cluster_error(replaced(good, "epoch: 1", "epoch: 2")), "epoch"));
    CHECK(mentions(cluster_error(good.substr(0, good.size() / 2)), "FILE: "));
    const ClusterInfo three = some_cluster(3);
    ClusterInfo two = some_cluster(2);
    two.map = three.map;
    CHECK(mentions(cluster_error(encode_cluster(two)), "servers that are not in the list"));
    ClusterInfo none = some_cluster(1);
    none.servers.clear();
    CHECK(mentions(cluster_error(encode_cluster(none)), "servers"));
    std::string flipped = good;
    flipped[flipped.size() - 100] = flipped[flipped.size() - 100] == 'A' ? 'B' : 'A';
    CHECK(mentions(cluster_error(flipped), "slot_map"));
  }

  TEST_CASE("deep nesting is refused, not followed") {
    CHECK(!record_error(std::string(60'000, '[')).empty());
    CHECK(!record_error(std::string(60'000, '{')).empty());
    std::string blocks;
    for (int i = 0; i < 3000; ++i) blocks += "- ";
    CHECK(!record_error(blocks).empty());
  }

  TEST_CASE("ids are random, times are readable") {
    CHECK(random_id() != random_id());
    CHECK(format_wall_time(0) == "1970-01-01 00:00:00 UTC");
  }
}

}  // namespace
