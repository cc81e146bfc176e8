// The C interface: quotas of directories.
#include <fmt/format.h>

#include "client/capi.hpp"

using namespace benchfs;
using namespace benchfs::capi;

namespace {

/// What an error means here, where the general text would mislead.
std::int64_t set_quota_error(const Client& client, const char* operation, const std::string& path,
                             const Error& error, const char* no_data) {
  const char* cause = nullptr;
  if (error.code == Errc::no_data) cause = no_data;
  if (error.code == Errc::not_empty) cause = "a quota is begun on an empty directory";
  if (error.code == Errc::no_space) cause = "1023 directories have a quota already";
  if (error.code == Errc::busy) cause = "the root has no quota: max_storage limits a server";
  if (error.code == Errc::invalid) cause = "name the directory itself, not by \"..\"";
  if (cause == nullptr) return set_error(client, operation, path, error);
  return set_error(to_errno(error.code), fmt::format("{} benchfs:{}: {}", operation, path, cause));
}

int set_limits(benchfs_t* fs, const char* operation, const char* path, std::uint64_t bytes,
               std::uint64_t files) {
  return guarded([&]() -> int {
    Client& client = client_of(fs);
    int error = 0;
    const auto canonical = take_path(client, operation, path, error);
    if (!canonical) return error;
    const auto set = result_of(client, [&] { return client.set_quota(*canonical, bytes, files); });
    if (set) return 0;
    return static_cast<int>(
        set_quota_error(client, operation, *canonical, set.error(), "no quota begins there"));
  });
}

}  // namespace

int benchfs_quota_set(benchfs_t* fs, const char* path, uint64_t bytes_limit, uint64_t files_limit) {
  static_assert(BENCHFS_QUOTA_KEEP == wire::Quota::kKeep);
  const bool sets = (bytes_limit != 0 && bytes_limit != BENCHFS_QUOTA_KEEP) ||
                    (files_limit != 0 && files_limit != BENCHFS_QUOTA_KEEP);
  const bool clears = (bytes_limit == 0) != (files_limit == 0);
  if (!sets && !clears) {
    return set_error(EINVAL, fmt::format("quota set benchfs:{}: no limit is given",
                                         path == nullptr ? "" : path));
  }
  return set_limits(fs, "quota set", path, bytes_limit, files_limit);
}

int benchfs_quota_remove(benchfs_t* fs, const char* path) {
  return set_limits(fs, "quota remove", path, 0, 0);
}

int benchfs_quota_get(benchfs_t* fs, const char* path, struct benchfs_quota* quota) {
  return guarded([&]() -> int {
    Client& client = client_of(fs);
    int error = 0;
    const auto canonical = take_path(client, "quota get", path, error);
    if (!canonical) return error;
    const auto got = result_of(client, [&] { return client.get_quota(*canonical); });
    if (!got) {
      return static_cast<int>(set_quota_error(client, "quota get", *canonical, got.error(),
                                              "it is below no directory with a quota"));
    }
    *quota = {got->id, got->bytes_limit, got->files_limit, got->bytes_used, got->files_used};
    return 0;
  });
}

int benchfs_path_statfs(benchfs_t* fs, const char* path, struct benchfs_statfs* space) {
  return on_path(fs, "statfs", path, [&](Client& client, const std::string& canonical) {
    return client.statfs(canonical, space);
  });
}
