// The registry as servers write it. Whatever is found there is checked for life before it counts:
// processes that are gone leave their records behind, and nothing waits for those.
#include "cluster/registry.hpp"

#include <dirent.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "base/clock.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "cluster/files.hpp"
#include "net/registry_dir.hpp"

namespace benchfs {
namespace {

constexpr std::int64_t kLookAgainMs = 2'000;

/// Of a record file of that name.
std::string_view id_of(const std::string& name) {
  return std::string_view(name).substr(0, name.size() - registry_names::kRecordSuffix.size());
}

}  // namespace

Registry::Registry(Loop& loop, std::string directory, ServerRecord self, std::int64_t probe_ms)
    : loop_(loop),
      directory_(std::move(directory)),
      self_(std::move(self)),
      own_name_(self_.id + std::string(registry_names::kRecordSuffix)),
      tag_(to_hex(self_.instance)),
      probe_ms_(probe_ms) {}

std::string Registry::path(std::string_view name) const {
  return fmt::format("{}/{}", directory_, name);
}

Task<Explained<void>> Registry::enter() {
  const auto made = make_directories(directory_);
  if (!made) co_return explain(Errc::io, "registry " + made.error());
  const auto trusted = check_private_directory(directory_);
  if (!trusted) co_return explain(Errc::access, "registry " + trusted.error());
  Explained<void> claimed = co_await claim_name();
  co_return claimed;
}

/// Puts this server's record under its name, unless a living server has that name.
Task<Explained<void>> Registry::claim_name() {
  const std::string file = path(own_name_);
  const std::string text = encode_record(self_);
  const auto created = create_file(directory_, own_name_, text, tag_);
  if (!created) co_return explain(Errc::io, "registry: " + created.error());
  entered_ = true;
  if (*created) co_return Explained<void>{};

  const auto found = read_bounded_file(file, kRecordTextMax);
  if (!found && found.error().code == Errc::not_found) {
    co_return explain(Errc::busy, file + ": is changing");
  }
  const auto record = found ? decode_record(*found, file) : std::unexpected(found.error().text);
  if (record && record->instance == self_.instance) co_return Explained<void>{};
  if (record) {
    const Sighting sighting = co_await look_for(loop_, *record, probe_ms_);
    if (sighting.liveness == Liveness::alive) {
      entered_ = false;
      co_return explain(Errc::exists,
                        fmt::format("registry {}: {} is running already; two servers cannot"
                                    " have one id",
                                    directory_, describe(*record)));
    }
    if (sighting.liveness == Liveness::draining) {
      co_return explain(Errc::busy, fmt::format("registry {}: {} is still shutting down",
                                                directory_, describe(*record)));
    }
    log_info("registry {}: replacing the record of an earlier {}", directory_, describe(*record));
  } else {
    log_warn("registry: replacing what is not a server record: {}", record.error());
  }
  const auto replaced = replace_file(directory_, own_name_, text, tag_);
  if (!replaced) co_return explain(Errc::io, "registry: " + replaced.error());
  co_return Explained<void>{};
}

Registry::Seen& Registry::look_at(const std::string& name) {
  const std::string file = path(name);
  Seen& seen = seen_[name];
  struct stat st {};
  if (lstat(file.c_str(), &st) != 0) return seen = Seen{};
  const std::int64_t changed_ns = st.st_ctim.tv_sec * 1'000'000'000ll + st.st_ctim.tv_nsec;
  if (seen.inode == st.st_ino && seen.changed_ns == changed_ns) return seen;
  const bool warned = seen.warned;
  seen = Seen{};
  seen.inode = st.st_ino;
  seen.changed_ns = changed_ns;
  const auto text = read_bounded_file(file, kRecordTextMax);
  auto record = text ? decode_record(*text, file) : std::unexpected(text.error().text);
  if (record && record->id != id_of(name))
    record = std::unexpected(fmt::format("{}: is the record of server \"{}\"", file, record->id));
  if (record) {
    seen.record = std::move(*record);
  } else {
    if (!warned) log_warn("registry: ignoring what is not a server record: {}", record.error());
    seen.warned = true;
  }
  return seen;
}

std::expected<std::vector<std::string>, std::string> Registry::names() {
  auto names = list_records(directory_);
  if (!names) return std::unexpected("registry " + names.error().text);
  std::erase_if(seen_, [&](const auto& entry) {
    return !std::binary_search(names->begin(), names->end(), entry.first);
  });
  return std::move(*names);
}

/// Looks at no more records than it needs: if each of a thousand servers read those of all, the
/// shared file system would see a million reads.
Task<Explained<std::optional<Meeting::Where>>> Registry::coordinator() {
  auto before = names();
  if (!before) co_return explain(Errc::io, before.error());
  const Seen& own = look_at(own_name_);
  const bool intact = own.record && own.record->instance == self_.instance;
  if (!intact) {  // swept away, or taken by a server of the same id at the same moment
    Explained<void> claimed = co_await claim_name();
    if (!claimed) co_return std::unexpected(claimed.error());
  }
  std::erase_if(*before, [&](const std::string& name) { return !(id_of(name) < self_.id); });
  std::ranges::sort(*before, {}, id_of);
  for (const std::string& name : *before) {
    Seen& seen = look_at(name);
    if (!seen.record) continue;
    const bool recent = seen.looked_at_ms != 0 && now_ms() - seen.looked_at_ms < kLookAgainMs;
    if (!recent) {
      const Sighting sighting = co_await look_for(loop_, *seen.record, probe_ms_);
      seen.looked_at_ms = now_ms();
      if (sighting.liveness == Liveness::alive) {
        seen.confirmed = seen.record->instance;
      } else {
        seen.confirmed = 0;
        if (!seen.warned) {
          log_info("registry {}: ignoring the record of {}, which does not answer", directory_,
                   describe(*seen.record));
        }
        seen.warned = true;
      }
    }
    if (seen.confirmed != seen.record->instance) continue;
    Where where;
    where.host = seen.record->bootstrap_host;
    where.port = seen.record->bootstrap_port;
    where.name = describe(*seen.record);
    co_return std::optional<Where>(std::move(where));
  }
  co_return std::optional<Where>();
}

Task<Explained<void>> Registry::check_free() {
  const auto published = read_registry_cluster(directory_, registry_names::kCluster);
  if (!published) {
    if (published.error().code != Errc::not_found)
      log_warn("registry: replacing what is not a cluster file: {}", published.error().text);
    co_return Explained<void>{};
  }
  const std::vector<Sighting> sightings =
      co_await look_for_all(loop_, published->servers, probe_ms_);
  std::size_t alive = 0;
  std::size_t draining = 0;
  for (const Sighting& sighting : sightings) {
    alive += sighting.liveness == Liveness::alive;
    draining += sighting.liveness == Liveness::draining;
  }
  const std::string which =
      fmt::format("registry {} is in use by cluster {}, started {}", directory_,
                  to_hex(published->cluster_id), format_wall_time(published->created_ns));
  if (alive > 0) {
    co_return explain(Errc::exists,
                      fmt::format("{}: {} of its {} servers are alive; stop it first, or use"
                                  " another registry",
                                  which, alive, published->servers.size()));
  }
  if (draining > 0) co_return explain(Errc::busy, which + " which is shutting down");
  log_info("registry {}: cluster {}, started {}, is of an earlier run and will be replaced",
           directory_, to_hex(published->cluster_id), format_wall_time(published->created_ns));
  co_return Explained<void>{};
}

Task<Explained<void>> Registry::publish(const ClusterInfo& cluster, const std::string& text) {
  const auto written = replace_file(directory_, registry_names::kCluster, text, tag_);
  if (!written) co_return explain(Errc::io, "registry: " + written.error());
  co_await sweep(&cluster);
  co_return Explained<void>{};
}

/// Removes records of servers that are gone, and temporary files of writers that are.
Task<void> Registry::sweep(const ClusterInfo* cluster) {
  const auto all = names();
  if (!all) co_return;
  std::vector<std::string> found;
  std::vector<ServerRecord> strangers;
  for (const std::string& name : *all) {
    const Seen& seen = look_at(name);
    if (!seen.record || cluster->find_instance(seen.record->instance) != nullptr) continue;
    found.push_back(name);
    strangers.push_back(*seen.record);
  }
  const std::vector<Sighting> sightings = co_await look_for_all(loop_, strangers, probe_ms_);
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (sightings[i].liveness != Liveness::gone) continue;
    log_info("registry {}: removing the record of an earlier {}", directory_,
             describe(strangers[i]));
    unlink(path(found[i]).c_str());
  }
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(opendir(directory_.c_str()), &closedir);
  if (!dir) co_return;
  while (const dirent* entry = readdir(dir.get())) {
    if (std::string_view(entry->d_name).starts_with(registry_names::kTemporaryPrefix))
      unlink(path(entry->d_name).c_str());
  }
}

void Registry::leave() {
  if (!entered_) return;
  entered_ = false;
  const std::string own = path(own_name_);
  const auto text = read_bounded_file(own, kRecordTextMax);
  const auto record = text ? decode_record(*text, own) : std::unexpected(std::string());
  if (record && record->instance == self_.instance) unlink(own.c_str());
  // The last of the cluster takes the cluster file away.
  const auto published = read_registry_cluster(directory_, registry_names::kCluster);
  if (!published || published->find_instance(self_.instance) == nullptr) return;
  const auto names = list_records(directory_);
  if (!names) return;
  for (const ServerRecord& server : published->servers) {
    const std::string file = path(server.id + std::string(registry_names::kRecordSuffix));
    const auto other = read_bounded_file(file, kRecordTextMax);
    const auto left = other ? decode_record(*other, file) : std::unexpected(std::string());
    if (left && left->instance == server.instance) return;
  }
  unlink(path(registry_names::kCluster).c_str());
}

}  // namespace benchfs
