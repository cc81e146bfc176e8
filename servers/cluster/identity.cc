// Files of the data directory that say whose it is: `lock` (held with flock, which ends with the
// process, however it ends), `identity.yaml` and `cluster.yaml`. Data are never guessed at: a file
// that cannot be read is an error, since starting afresh would hide what is stored.
#include "cluster/identity.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/config.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "cluster/files.hpp"
#include "net/registry_dir.hpp"

namespace benchfs {
namespace {

constexpr std::string_view kIdentityFile = "identity.yaml";
constexpr std::string_view kClusterFile = "cluster.yaml";
constexpr std::size_t kIdentityBytesMax = 4096;
constexpr std::string_view kTag = "new";  // the lock makes this process the only writer

std::unexpected<std::string> refuse(const std::string& path, std::string_view why) {
  return std::unexpected(fmt::format("data directory {}: {}", path, why));
}

std::string holder_of(int fd) {
  std::array<char, 32> text{};
  const ssize_t got = pread(fd, text.data(), text.size() - 1, 0);
  const std::string_view pid =
      trim(std::string_view(text.data(), got > 0 ? static_cast<std::size_t>(got) : 0));
  return parse_integer(pid) ? fmt::format("pid {}", pid) : std::string("another process");
}

std::expected<Fd, std::string> take_lock(const std::string& path) {
  const std::string name = path + "/lock";
  Fd lock(open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!lock) return refuse(path, fmt::format("cannot write to it: lock: {}", std::strerror(errno)));
  if (flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK)
      return refuse(path, fmt::format("in use by another benchfsd ({})", holder_of(lock.get())));
    log_warn(
        "data directory {}: its file system has no locks ({}): nothing keeps a second server out",
        path, std::strerror(errno));
  }
  const std::string pid = fmt::format("{}\n", getpid());
  if (ftruncate(lock.get(), 0) != 0 ||
      pwrite(lock.get(), pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size()))
    return refuse(path, fmt::format("cannot write to it: lock: {}", std::strerror(errno)));
  return lock;
}

/// The host's name and a random number, so that two servers of one host differ.
std::string new_server_id() {
  std::string id;
  for (const char c : this_host_name().substr(0, 32)) {
    if (c == '.') break;
    id += config::valid_server_id({&c, 1}) ? c : '-';
  }
  return fmt::format("{}-{:.8}", id.empty() ? "server" : id, to_hex(random_id()));
}

}  // namespace

std::expected<DataDirectory, std::string> DataDirectory::open(const std::string& path,
                                                              const std::string& server_id) {
  auto made = make_directories(path);
  if (!made) return refuse(path, "cannot be made: " + made.error());
  struct stat st {};
  if (stat(path.c_str(), &st) != 0) return refuse(path, std::strerror(errno));
  if (!S_ISDIR(st.st_mode)) return refuse(path, "is not a directory");
  if (access(path.c_str(), R_OK | W_OK | X_OK) != 0)
    return refuse(path, fmt::format("cannot be used: {}", std::strerror(errno)));
  if ((st.st_mode & 077) != 0)
    log_warn("data directory {}: others have access to it (mode {:04o}); chmod 700 is advised",
             path, st.st_mode & 07777);
  auto lock = take_lock(path);
  if (!lock) return std::unexpected(lock.error());
  DataDirectory directory(path, std::move(*lock));
  BFS_CHECK(identity, directory.read_identity(server_id));
  BFS_CHECK(stored, directory.read_stored());
  return directory;
}

std::expected<void, std::string> DataDirectory::read_identity(const std::string& server_id) {
  const std::string file = fmt::format("{}/{}", path_, kIdentityFile);
  auto text = read_bounded_file(file, kIdentityBytesMax);
  if (text) {
    auto identity = decode_identity(*text, file);
    if (!identity) return refuse(path_, "is damaged: " + identity.error());
    if (!server_id.empty() && server_id != identity->server_id)
      return refuse(path_, fmt::format("belongs to server \"{}\", but server_id is \"{}\"",
                                       identity->server_id, server_id));
    identity_ = std::move(*identity);
    return {};
  }
  if (text.error().code != Errc::not_found) return refuse(path_, text.error().text);
  identity_.server_id = server_id.empty() ? new_server_id() : server_id;
  identity_.store_id = random_id();
  if (!config::valid_server_id(identity_.server_id))
    return refuse(path_,
                  fmt::format("\"{}\" is not a server id", escape_line(identity_.server_id)));
  auto written = replace_file(path_, kIdentityFile, encode_identity(identity_), kTag);
  if (!written) return refuse(path_, "cannot write to it: " + written.error());
  return {};
}

std::expected<void, std::string> DataDirectory::read_stored() {
  const std::string file = fmt::format("{}/{}", path_, kClusterFile);
  auto text = read_bounded_file(file, kClusterTextMax);
  if (!text) {
    if (text.error().code == Errc::not_found) return {};
    return refuse(path_, text.error().text);
  }
  auto cluster = decode_cluster(*text, file);
  if (!cluster) return refuse(path_, "is damaged: " + cluster.error());
  const bool member =
      std::any_of(cluster->servers.begin(), cluster->servers.end(),
                  [&](const ServerRecord& s) { return s.id == identity_.server_id; });
  if (!member)
    return refuse(path_, fmt::format("is damaged: {} is of a cluster without server \"{}\"", file,
                                     identity_.server_id));
  stored_ = std::move(*cluster);
  return {};
}

std::expected<void, std::string> DataDirectory::store(const ClusterInfo& cluster) {
  auto written = replace_file(path_, kClusterFile, encode_cluster(cluster), kTag);
  if (!written) return refuse(path_, "cannot remember the cluster: " + written.error());
  stored_ = cluster;
  return {};
}

}  // namespace benchfs
