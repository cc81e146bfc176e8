// The files of a registry and a data directory. What is accepted must be valid and survive the way
// back; what is not must be refused with a text that names the file.
#include "base/assert.hpp"
#include "base/config.hpp"
#include "fuzz.hpp"
#include "net/cluster_info.hpp"

namespace {

using namespace benchfs;

void check_record(const ServerRecord& record) {
  BFS_ASSERT(config::valid_server_id(record.id));
  BFS_ASSERT(record.instance != 0 && record.bootstrap_port != 0 && !record.ucx_address.empty());
}

template <class T>
void check_error(const std::expected<T, std::string>& decoded) {
  if (!decoded) BFS_ASSERT(decoded.error().starts_with("FILE: "));
}

ServerRecord some_record(const char* id, std::uint64_t instance) {
  ServerRecord record;
  record.id = id;
  record.host = "node";
  record.pid = 10;
  record.bootstrap_host = "127.0.0.1";
  record.bootstrap_port = 4000;
  record.instance = instance;
  record.ucx_address = {std::byte{1}, std::byte{2}};
  record.data_dir = "/data \"x\"";
  record.started_ns = 1;
  return record;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto record = decode_record(text, "FILE");
  check_error(record);
  if (record) {
    check_record(*record);
    BFS_ASSERT(decode_record(encode_record(*record), "FILE") == record);
  }
  const auto cluster = decode_cluster(text, "FILE");
  check_error(cluster);
  if (cluster) {
    BFS_ASSERT(cluster->map.index_count() <= cluster->servers.size());
    for (const ServerRecord& server : cluster->servers) check_record(server);
    BFS_ASSERT(decode_cluster(encode_cluster(*cluster), "FILE") == cluster);
  }
  const auto identity = decode_identity(text, "FILE");
  check_error(identity);
  if (identity) BFS_ASSERT(decode_identity(encode_identity(*identity), "FILE") == identity);
  return 0;
}

std::vector<std::string> fuzz_seeds() {
  ClusterInfo cluster{.cluster_id = 77,
                      .epoch = 1,
                      .created_ns = 5,
                      .servers = {some_record("s0", 1), some_record("s1", 2)},
                      .map = SlotMap::initial(2, 77)};
  const std::string whole = encode_cluster(cluster);
  const std::string without_map = whole.substr(0, whole.find("slot_map"));
  ServerRecord stored = some_record("s0", 3);
  stored.stored_cluster_id = 9;
  stored.stored_epoch = 2;
  return {encode_record(some_record("s0", 1)),
          encode_record(stored),
          encode_identity({"s0", 5}),
          without_map,
          without_map + "slot_map: \"\"\n",
          "servers: &a [*a, *a]\n",
          "? {a: b}\n: c\n",
          "--- !!map\n{}\n...\n---\n{}\n",
          "id: |\n  text\n  more\npid: 'x'\n",
          std::string(200, '['),
          "\xef\xbb\xbf"
          "benchfs: server\n"};
}
