// Cluster file, server records and the small files beside them: YAML in, YAML out. The text is
// written by hand (one fixed layout) and read with yaml-cpp through Fields, which accepts exactly
// the keys that are asked for. yaml-cpp reports by exceptions; they end in decode().
#include "net/cluster_info.hpp"

#include <fmt/format.h>
#include <time.h>
#include <unistd.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <limits>
#include <set>
#include <unordered_set>

#include "base/assert.hpp"
#include "base/config.hpp"
#include "base/secret.hpp"
#include "base/text.hpp"
#include "wire/messages.hpp"

namespace benchfs {
namespace {

constexpr std::uint64_t kFormatVersion = 1;
constexpr std::size_t kTextMax = 4096;

/// Carries a cause from inside a decoder to decode(); never leaves this file.
struct Refused {
  std::string why;
};
[[noreturn]] void refuse(std::string why) {
  throw Refused{std::move(why)};
}

/// A YAML mapping of scalars and lists, read key by key. done() refuses what was not asked for.
class Fields {
 public:
  Fields(const YAML::Node& node, std::string where) : node_(node), where_(std::move(where)) {
    if (!node.IsMap()) refuse(fmt::format("{}is not a mapping", where_));
    for (const auto& entry : node) {
      if (!entry.first.IsScalar()) refuse(fmt::format("{}has a key that is not a word", where_));
      if (!unread_.insert(entry.first.Scalar()).second)
        refuse(fmt::format("{}repeats the key {}", where_, shown(entry.first.Scalar())));
    }
  }

  YAML::Node node(const char* key) {
    if (unread_.erase(key) == 0) refuse(fmt::format("{}lacks the key {}", where_, key));
    return node_[key];
  }
  std::string word(const char* key, std::size_t bytes_max) {
    const YAML::Node value = node(key);
    if (!value.IsScalar()) wrong(key, "is not a single value");
    if (value.Scalar().size() > bytes_max) wrong(key, "is too long");
    if (value.Scalar().find('\0') != std::string::npos) wrong(key, "has a zero byte");
    return value.Scalar();
  }
  std::uint64_t integer(const char* key, std::uint64_t min, std::uint64_t max) {
    const auto value = parse_integer(word(key, 32));
    if (!value || *value < min || *value > max)
      wrong(key, fmt::format("is not a whole number from {} to {}", min, max));
    return *value;
  }
  std::int64_t positive(const char* key) {
    return static_cast<std::int64_t>(integer(key, 0, std::numeric_limits<std::int64_t>::max()));
  }
  std::uint64_t hex(const char* key, std::uint64_t min) {
    const auto value = u64_from_hex(word(key, 16));
    if (!value || *value < min) wrong(key, "is not a hexadecimal number in range");
    return *value;
  }
  std::vector<std::byte> bytes(const char* key, std::size_t min, std::size_t max) {
    auto value = from_base64(word(key, (max + 2) / 3 * 4));
    if (!value) wrong(key, "is not base64");
    if (value->size() < min || value->size() > max) wrong(key, "has the wrong length");
    return std::move(*value);
  }
  void format(std::string_view kind) {
    if (word("benchfs", 32) != kind) wrong("benchfs", fmt::format("is not \"{}\"", kind));
    const auto version = integer("version", 0, 1'000'000);
    if (version != kFormatVersion)
      wrong("version",
            fmt::format("is {}; this program reads version {}", version, kFormatVersion));
  }
  void done() {
    if (!unread_.empty())
      refuse(fmt::format("{}has the unknown key {}", where_, shown(*unread_.begin())));
  }
  [[noreturn]] void wrong(const char* key, std::string_view why) {
    refuse(fmt::format("{}{} {}", where_, key, why));
  }

 private:
  static std::string shown(const std::string& text) {
    return '"' + escape_line(std::string_view(text).substr(0, 64)) + '"';
  }
  YAML::Node node_;
  std::string where_;  ///< "" or "server 3: "
  std::set<std::string> unread_;
};

/// Whether a line begins as the start or end of a YAML document does; what is written here has
/// none.
bool has_document_marker(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const std::string_view line = text.substr(at, text.find('\n', at) - at);
    if (line.starts_with("---") || line.starts_with("...") || line.starts_with('%')) return true;
    at += line.size() + 1;
  }
  return false;
}

template <class T, class Read>
std::expected<T, std::string> decode(std::string_view text, std::string_view name,
                                     std::size_t bytes_max, Read read) {
  std::string why;
  if (text.size() > bytes_max) {
    why = fmt::format("has {} bytes; at most {} are accepted", text.size(), bytes_max);
  } else {
    try {
      // Not LoadAll, which never comes to an end on some texts (", x": yaml-cpp 0.7).
      if (has_document_marker(text)) refuse("is not one plain YAML document");
      return read(YAML::Load(std::string(text)));
    } catch (const Refused& refused) {
      why = refused.why;
    } catch (const YAML::Exception& error) {
      why = fmt::format("is not YAML: line {}: {}", error.mark.line + 1, escape_line(error.msg));
    } catch (const std::exception& error) {
      why = fmt::format("cannot be read: {}", escape_line(error.what()));
    }
  }
  return std::unexpected(fmt::format("{}: {}", name, why));
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte == 0x7f) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string head(std::string_view kind) {
  return fmt::format("benchfs: {}\nversion: {}\n", kind, kFormatVersion);
}

void append_record(std::string& out, const ServerRecord& record, std::string_view first,
                   std::string_view indent) {
  auto line = [&, lead = first](std::string_view key, const auto& value) mutable {
    out += fmt::format("{}{}: {}\n", lead, key, value);
    lead = indent;
  };
  line("id", quoted(record.id));
  line("host", quoted(record.host));
  line("host_id", quoted(to_hex(record.host_id)));
  line("pid", record.pid);
  line("bootstrap_host", quoted(record.bootstrap_host));
  line("bootstrap_port", record.bootstrap_port);
  line("instance", quoted(to_hex(record.instance)));
  line("ucx_address", quoted(to_base64(record.ucx_address)));
  line("data_dir", quoted(record.data_dir));
  line("store_id", quoted(to_hex(record.store_id)));
  line("stored_cluster_id", quoted(to_hex(record.stored_cluster_id)));
  line("stored_epoch", record.stored_epoch);
  line("started_ns", record.started_ns);
}

ServerRecord read_record(Fields& fields) {
  ServerRecord record;
  record.id = fields.word("id", 63);
  if (!config::valid_server_id(record.id)) fields.wrong("id", "is not a server id");
  record.host = fields.word("host", 255);
  record.host_id = fields.hex("host_id", 0);
  record.pid = static_cast<std::int64_t>(fields.integer("pid", 1, 1u << 30));
  record.bootstrap_host = fields.word("bootstrap_host", 255);
  if (!parse_host_port(format_host_port({record.bootstrap_host, 1})))
    fields.wrong("bootstrap_host", "is not a host");
  record.bootstrap_port = static_cast<std::uint16_t>(fields.integer("bootstrap_port", 1, 65535));
  record.instance = fields.hex("instance", 1);
  record.ucx_address = fields.bytes("ucx_address", 1, wire::kAddressMax);
  record.data_dir = fields.word("data_dir", kTextMax);
  record.store_id = fields.hex("store_id", 0);
  record.stored_cluster_id = fields.hex("stored_cluster_id", 0);
  record.stored_epoch =
      fields.integer("stored_epoch", 0, std::numeric_limits<std::uint64_t>::max());
  if ((record.stored_cluster_id == 0) != (record.stored_epoch == 0))
    fields.wrong("stored_epoch", "does not go with stored_cluster_id");
  record.started_ns = fields.positive("started_ns");
  return record;
}

ClusterInfo read_cluster(const YAML::Node& document) {
  Fields fields(document, "");
  fields.format("cluster");
  const std::uint64_t cluster_id = fields.hex("cluster_id", 1);
  const Epoch epoch = fields.integer("epoch", 1, std::numeric_limits<std::uint64_t>::max());
  const std::int64_t created_ns = fields.positive("created_ns");
  const YAML::Node list = fields.node("servers");
  if (!list.IsSequence() || list.size() == 0 || list.size() > kServersMax)
    fields.wrong("servers", fmt::format("is not a list of 1 to {} servers", kServersMax));
  std::vector<ServerRecord> servers;
  std::unordered_set<std::string> ids;
  std::unordered_set<std::uint64_t> instances;
  for (const YAML::Node& entry : list) {
    const std::string where = fmt::format("server {}: ", servers.size());
    Fields server(entry, where);
    servers.push_back(read_record(server));
    server.done();
    if (!ids.insert(servers.back().id).second) refuse(where + "has the id of another server");
    if (!instances.insert(servers.back().instance).second)
      refuse(where + "has the instance of another server");
  }
  const auto map_bytes = fields.bytes("slot_map", SlotMap::kEncodedBytes, SlotMap::kEncodedBytes);
  fields.done();
  auto map = SlotMap::decode(map_bytes);
  if (!map) fields.wrong("slot_map", "is damaged: " + map.error());
  if (map->index_count() > servers.size())
    fields.wrong("slot_map", "names servers that are not in the list");
  if (map->epoch() != epoch) fields.wrong("slot_map", "has another epoch than the file");
  return ClusterInfo{.cluster_id = cluster_id,
                     .epoch = epoch,
                     .created_ns = created_ns,
                     .servers = std::move(servers),
                     .map = std::move(*map)};
}

}  // namespace

const ServerRecord* ClusterInfo::find_instance(std::uint64_t instance) const {
  const auto found = std::find_if(servers.begin(), servers.end(),
                                  [&](const ServerRecord& s) { return s.instance == instance; });
  return found == servers.end() ? nullptr : &*found;
}

std::string encode_record(const ServerRecord& record) {
  std::string out = head("server");
  append_record(out, record, "", "");
  return out;
}

std::expected<ServerRecord, std::string> decode_record(std::string_view text,
                                                       std::string_view name) {
  return decode<ServerRecord>(text, name, kRecordTextMax, [](const YAML::Node& document) {
    Fields fields(document, "");
    fields.format("server");
    ServerRecord record = read_record(fields);
    fields.done();
    return record;
  });
}

std::string encode_cluster(const ClusterInfo& cluster) {
  std::string out = head("cluster");
  out += fmt::format("cluster_id: {}\nepoch: {}\ncreated_ns: {}\nservers:\n",
                     quoted(to_hex(cluster.cluster_id)), cluster.epoch, cluster.created_ns);
  for (const ServerRecord& server : cluster.servers) append_record(out, server, "  - ", "    ");
  out += fmt::format("slot_map: {}\n", quoted(to_base64(cluster.map.encode())));
  return out;
}

std::expected<ClusterInfo, std::string> decode_cluster(std::string_view text,
                                                       std::string_view name) {
  return decode<ClusterInfo>(text, name, kClusterTextMax, read_cluster);
}

std::string encode_identity(const StoreIdentity& identity) {
  return head("store") + fmt::format("server_id: {}\nstore_id: {}\n", quoted(identity.server_id),
                                     quoted(to_hex(identity.store_id)));
}

std::expected<StoreIdentity, std::string> decode_identity(std::string_view text,
                                                          std::string_view name) {
  return decode<StoreIdentity>(text, name, kTextMax, [](const YAML::Node& document) {
    Fields fields(document, "");
    fields.format("store");
    StoreIdentity identity;
    identity.server_id = fields.word("server_id", 63);
    if (!config::valid_server_id(identity.server_id))
      fields.wrong("server_id", "is not a server id");
    identity.store_id = fields.hex("store_id", 1);
    fields.done();
    return identity;
  });
}

std::string encode_failure(const FormingFailure& failure) {
  std::string out = head("failure") + "instances: [";
  for (const std::uint64_t instance : failure.instances) {
    if (!out.ends_with('[')) out += ", ";
    out += quoted(to_hex(instance));
  }
  // The text comes out of a handful of sentences; what is longer is cut.
  return out +
         fmt::format("]\ntext: {}\n", quoted(std::string_view(failure.text).substr(0, kTextMax)));
}

std::expected<FormingFailure, std::string> decode_failure(std::string_view text,
                                                          std::string_view name) {
  return decode<FormingFailure>(text, name, kClusterTextMax, [](const YAML::Node& document) {
    Fields fields(document, "");
    fields.format("failure");
    FormingFailure failure;
    const YAML::Node list = fields.node("instances");
    if (!list.IsSequence() || list.size() > kServersMax) fields.wrong("instances", "is not a list");
    for (const YAML::Node& entry : list) {
      const auto instance = entry.IsScalar() ? u64_from_hex(entry.Scalar()) : std::nullopt;
      if (!instance) fields.wrong("instances", "has an entry that is no hexadecimal number");
      failure.instances.push_back(*instance);
    }
    failure.text = fields.word("text", 2 * kTextMax);
    fields.done();
    return failure;
  });
}

std::string this_host_name() {
  std::array<char, 256> name{};
  if (gethostname(name.data(), name.size() - 1) != 0 || name[0] == '\0') return "localhost";
  return name.data();
}

std::uint64_t random_id() {
  std::uint64_t id = 0;
  while (id == 0) {
    const Status got = random_bytes(std::as_writable_bytes(std::span{&id, 1}));
    BFS_ASSERT(got);
  }
  return id;
}

std::string format_wall_time(std::int64_t ns) {
  const time_t seconds = static_cast<time_t>(ns / 1'000'000'000);
  struct tm parts {};
  std::array<char, 64> text{};
  if (gmtime_r(&seconds, &parts) == nullptr ||
      strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S UTC", &parts) == 0)
    return "at an unknown time";
  return text.data();
}

std::string describe(const ServerRecord& record) {
  return fmt::format("server {} (pid {} on {})", record.id, record.pid, record.host);
}

}  // namespace benchfs
