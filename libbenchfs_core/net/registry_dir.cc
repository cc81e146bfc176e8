// Reading a registry: every file there may be half written by something else, of an earlier run, or
// not ours at all.
#include "net/registry_dir.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "base/config.hpp"

namespace benchfs {
namespace {

std::unexpected<TextError> refuse_errno(const std::string& path, int err) {
  return explain(errc_from_errno(err), fmt::format("{}: {}", path, std::strerror(err)));
}

const char* variable(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : nullptr;
}

}  // namespace

Explained<std::string> read_bounded_file(const std::string& path, std::size_t bytes_max) {
  const Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY));
  if (!file) {
    if (errno == ELOOP) return explain(Errc::invalid, path + ": is a symbolic link");
    return refuse_errno(path, errno);
  }
  struct stat st {};
  if (fstat(file.get(), &st) != 0) return refuse_errno(path, errno);
  if (!S_ISREG(st.st_mode)) return explain(Errc::invalid, path + ": is not a regular file");
  if (static_cast<std::uint64_t>(st.st_size) > bytes_max)
    return explain(Errc::invalid, fmt::format("{}: has {} bytes; at most {} are accepted", path,
                                              st.st_size, bytes_max));
  // One byte more than it has tells a file that is growing.
  std::string text(static_cast<std::size_t>(st.st_size) + 1, '\0');
  std::size_t got = 0;
  while (got < text.size()) {
    const ssize_t n = read(file.get(), text.data() + got, text.size() - got);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return refuse_errno(path, errno);
    if (n == 0) break;
    got += static_cast<std::size_t>(n);
  }
  if (got == text.size()) return explain(Errc::invalid, path + ": grew while it was read");
  text.resize(got);
  return text;
}

Explained<std::vector<std::string>> list_records(const std::string& directory) {
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(opendir(directory.c_str()), &closedir);
  if (!dir) return refuse_errno(directory, errno);
  std::vector<std::string> names;
  while (const dirent* entry = readdir(dir.get())) {
    const std::string_view name = entry->d_name;
    if (!name.ends_with(registry_names::kRecordSuffix)) continue;
    const auto id = name.substr(0, name.size() - registry_names::kRecordSuffix.size());
    if (config::valid_server_id(id)) names.emplace_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

Explained<ClusterInfo> read_registry_cluster(const std::string& directory, std::string_view name) {
  const std::string path = fmt::format("{}/{}", directory, name);
  auto text = read_bounded_file(path, kClusterTextMax);
  if (!text) return std::unexpected(std::move(text.error()));
  auto cluster = decode_cluster(*text, path);
  if (!cluster) return explain(Errc::bad_message, std::move(cluster.error()));
  return std::move(*cluster);
}

std::expected<void, std::string> check_private_directory(const std::string& directory) {
  struct stat st {};
  if (lstat(directory.c_str(), &st) != 0) {
    if (errno == ENOENT) return {};
    return std::unexpected(fmt::format("{}: {}", directory, std::strerror(errno)));
  }
  // A link that the user made himself is followed; one in a shared /tmp could be anybody's.
  if (S_ISLNK(st.st_mode)) {
    if (st.st_uid != geteuid())
      return std::unexpected(fmt::format("{}: is a symbolic link of another user", directory));
    if (stat(directory.c_str(), &st) != 0)
      return std::unexpected(fmt::format("{}: {}", directory, std::strerror(errno)));
  }
  if (!S_ISDIR(st.st_mode)) return std::unexpected(directory + ": is not a directory");
  if (st.st_uid != geteuid())
    return std::unexpected(fmt::format("{}: belongs to user {}, not to this user ({})", directory,
                                       st.st_uid, geteuid()));
  if ((st.st_mode & 022) != 0)
    return std::unexpected(fmt::format("{}: others can write to it (mode {:04o}): chmod 700",
                                       directory, st.st_mode & 07777));
  return {};
}

std::expected<std::string, std::string> default_registry() {
  if (const char* configured = variable("BENCHFS_REGISTRY")) return configured;
  const char* runtime = variable("XDG_RUNTIME_DIR");
  const std::string parent = runtime != nullptr ? fmt::format("{}/benchfs", runtime)
                                                : fmt::format("/tmp/benchfs-{}", geteuid());
  const std::string registry = parent + "/registry";
  for (const std::string& directory : {parent, registry}) {
    auto checked = check_private_directory(directory);
    if (!checked) return std::unexpected(checked.error());
  }
  return registry;
}

}  // namespace benchfs
