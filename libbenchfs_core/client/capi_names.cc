// The C interface: directories and symbolic links.
#include <sys/stat.h>

#include <algorithm>
#include <cstring>

#include "client/capi.hpp"
#include "wire/messages.hpp"

using namespace benchfs;
using namespace benchfs::capi;

namespace {

Task<Outcome> lstat_into(Client* client, std::string_view path, struct benchfs_stat* st) {
  BFS_CO_TRY(attributes, co_await client->stat(path, false));
  fill_stat(st, attributes);
  co_return 0;
}

Task<Outcome> open_into(Client* client, std::string_view path, bool attributes,
                        benchfs_dir_t** out) {
  BFS_CO_TRY(directory, co_await client->open_directory(path, attributes));
  *out = handle_of(directory);
  co_return 0;
}

Task<Outcome> search_into(Client* client, std::string_view path, Match match, int flags,
                          benchfs_dir_t** out) {
  const bool attributes = (flags & BENCHFS_DIR_STAT) != 0;
  const bool descend = (flags & BENCHFS_DIR_DESCEND) != 0;
  BFS_CO_TRY(directory, co_await client->open_search(path, std::move(match), attributes, descend));
  *out = handle_of(directory);
  co_return 0;
}

Task<Outcome> read_into(Client* client, OpenDirectory* directory, struct benchfs_dirent* entry) {
  ListedEntry listed;
  BFS_CO_TRY(count, co_await client->read_directory(directory, &listed));
  if (count == 0) co_return 0;
  *entry = {};
  entry->inode = listed.inode;
  entry->type = listed.type;
  entry->has_stat = listed.has_attributes ? 1 : 0;
  entry->fits = listed.fits ? 1 : 0;
  if (listed.has_attributes) fill_stat(&entry->stat, listed.attributes);
  std::memcpy(entry->name, listed.name.data(), listed.name.size());
  co_return 1;
}

Task<Outcome> link_into(Client* client, std::string_view path, char* target, std::size_t capacity) {
  BFS_CO_TRY(found, co_await client->read_link(path));
  const std::size_t bytes = std::min(capacity, found.size());
  std::memcpy(target, found.data(), bytes);
  co_return static_cast<std::int64_t>(bytes);
}

}  // namespace

int benchfs_rmdir(benchfs_t* fs, const char* path) {
  return on_path(fs, "rmdir", path, [](Client& client, const std::string& canonical) {
    return client.rmdir(canonical);
  });
}

int benchfs_rename(benchfs_t* fs, const char* from, const char* to, unsigned flags) {
  static_assert(BENCHFS_RENAME_NOREPLACE == wire::Rename::kNoReplace);
  static_assert(BENCHFS_RENAME_EXCHANGE == wire::Rename::kExchange);
  if ((flags & ~(BENCHFS_RENAME_NOREPLACE | BENCHFS_RENAME_EXCHANGE)) != 0 || flags == 3) {
    return set_error(EINVAL, "rename: flags other than one of BENCHFS_RENAME_*");
  }
  return on_two_paths(fs, "rename", from, to,
                      [&](Client& client, const std::string& old_path, const std::string& path) {
                        return client.rename(old_path, path, flags);
                      });
}

int benchfs_link(benchfs_t* fs, const char* from, const char* to) {
  return on_two_paths(fs, "link", from, to,
                      [](Client& client, const std::string& old_path, const std::string& path) {
                        return client.link(old_path, path);
                      });
}

int benchfs_opendir(benchfs_t* fs, const char* path, int flags, benchfs_dir_t** directory) {
  if ((flags & ~BENCHFS_DIR_STAT) != 0) {
    return set_error(EINVAL, "opendir: flags other than BENCHFS_DIR_STAT");
  }
  const bool attributes = (flags & BENCHFS_DIR_STAT) != 0;
  return on_path(fs, "opendir", path, [&](Client& client, const std::string& canonical) {
    return open_into(&client, canonical, attributes, directory);
  });
}

int benchfs_opendir_match(benchfs_t* fs, const char* path, const struct benchfs_match* match,
                          int flags, benchfs_dir_t** directory) {
  static_assert(BENCHFS_MATCH_FILES == Match::kFiles && BENCHFS_MATCH_LINKS == Match::kLinks);
  static_assert(BENCHFS_MATCH_DIRECTORIES == Match::kDirectories);
  constexpr std::uint32_t kTypes = Match::kFiles | Match::kDirectories | Match::kLinks;
  if ((flags & ~(BENCHFS_DIR_STAT | BENCHFS_DIR_DESCEND)) != 0) {
    return set_error(EINVAL, "opendir: flags other than BENCHFS_DIR_STAT and BENCHFS_DIR_DESCEND");
  }
  if ((match->types & ~(kTypes | BENCHFS_MATCH_EMPTY)) != 0) {
    return set_error(EINVAL, "opendir: types other than BENCHFS_MATCH_*");
  }
  return guarded([&]() -> int {
    Match wanted{.name = match->name == nullptr ? "" : match->name,
                 .any_case_name = match->any_case_name == nullptr ? "" : match->any_case_name,
                 .types = static_cast<std::uint16_t>(match->types & kTypes),
                 .empty = (match->types & BENCHFS_MATCH_EMPTY) != 0,
                 .size_min = match->size_min,
                 .size_max = match->size_max,
                 .mtime_min_ns = match->mtime_min_ns,
                 .mtime_max_ns = match->mtime_max_ns};
    if (std::max(wanted.name.size(), wanted.any_case_name.size()) > kPatternBytesMax) {
      return set_error(ENAMETOOLONG, "opendir: a pattern has more than 1024 bytes");
    }
    return on_path(fs, "opendir", path, [&](Client& client, const std::string& canonical) {
      return search_into(&client, canonical, wanted, flags, directory);
    });
  });
}

std::uint64_t benchfs_dir_seen(const benchfs_dir_t* directory) {
  const auto* open = reinterpret_cast<const OpenDirectory*>(directory);
  const Client::Lock lock(*open->client);
  return open->search != nullptr ? open->search->seen : 0;
}

int benchfs_readdir(benchfs_dir_t* handle, struct benchfs_dirent* entry) {
  return guarded([&]() -> int {
    OpenDirectory* directory = directory_of(handle);
    Client& client = *directory->client;
    return static_cast<int>(run(client, "readdir", directory->path,
                                [&] { return read_into(&client, directory, entry); }));
  });
}

int benchfs_closedir(benchfs_dir_t* handle) {
  return guarded([&]() -> int {
    OpenDirectory* directory = directory_of(handle);
    Client& client = *directory->client;
    const Client::Lock lock(client);
    client.close_directory(directory);
    return 0;
  });
}

int benchfs_lstat(benchfs_t* fs, const char* path, struct benchfs_stat* st) {
  return on_path(fs, "lstat", path, [&](Client& client, const std::string& canonical) {
    return lstat_into(&client, canonical, st);
  });
}

int benchfs_symlink(benchfs_t* fs, const char* target, const char* path) {
  const std::string to = target == nullptr ? "" : target;
  return on_path(fs, "symlink", path, [&](Client& client, const std::string& canonical) {
    return client.symlink(to, canonical);
  });
}

std::int64_t benchfs_readlink(benchfs_t* fs, const char* path, char* target, size_t capacity) {
  return on_path(fs, "readlink", path, [&](Client& client, const std::string& canonical) {
    return link_into(&client, canonical, target, capacity);
  });
}
